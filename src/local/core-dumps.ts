import { writeFileSync } from 'node:fs';

/**
 * Keeps what is in memory, passwords above all, out of the core dumps of this process and of those that it starts from
 * here on (core(5), coredump_filter). Only Linux has such a switch; elsewhere nothing happens.
 */
export function keepOutOfCoreDumps(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Not Linux, or one without /proc.
  }
}
