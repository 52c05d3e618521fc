/*
 * What OpenWrt's patch of dropbear (100-pubkey_path.patch) does, for an unpatched one by LD_PRELOAD: root's keys are in
 * /etc/dropbear/authorized_keys, and nowhere else.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *moved(const char *path) {
  if (strcmp(path, "/root/.ssh") == 0) return "/etc/dropbear";
  if (strcmp(path, "/root/.ssh/authorized_keys") == 0) return "/etc/dropbear/authorized_keys";
  return path;
}

FILE *fopen(const char *path, const char *mode) {
  FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, "fopen");
  return real(moved(path), mode);
}

int stat(const char *path, struct stat *found) {
  int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");
  return real(moved(path), found);
}
