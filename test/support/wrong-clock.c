/*
 * A clock that is wrong by WRONG_CLOCK seconds, for whoever has this in LD_PRELOAD; timers and file times are as ever.
 * libfaketime keeps what its processes share in /dev/shm under their numbers, and ends those that are given a number
 * whose last owner was killed.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t wrong_by(clockid_t clock) {
  const char *seconds = getenv("WRONG_CLOCK");
  return seconds && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, clock, now);
  if (result == 0) now->tv_sec += wrong_by(clock);
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *copy) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (copy) *copy = now.tv_sec;
  return now.tv_sec;
}
