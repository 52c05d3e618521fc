import type { Desired } from './desired.ts';
import type { Reading } from './facts.ts';
import type { Step } from './plan.ts';
import type { RemotePath } from './remote-path.ts';

/** All that some steps must know, each path once, with the sum of what was asked about it. */
export function readingsOf(steps: readonly Step[], desired: Desired): readonly Reading[] {
  const readings = new Map<RemotePath, Reading>();
  for (const reading of steps.flatMap((step) => step.reads(desired))) {
    const other = readings.get(reading.path);
    readings.set(reading.path, other === undefined ? reading : joined(other, reading));
  }
  return [...readings.values()];
}

/** All programs that some steps must know of. */
export function programsOf(steps: readonly Step[], desired: Desired): readonly string[] {
  return [...new Set(steps.flatMap((step) => step.programs?.(desired) ?? []))];
}

function joined(a: Reading, b: Reading): Reading {
  const bytes = a.bytes === 'all' || b.bytes === 'all' ? 'all' : (a.bytes ?? b.bytes);
  const known = a.bytes === undefined ? b.unless : b.bytes === undefined ? a.unless : undefined;
  return {
    path: a.path,
    ...(bytes !== undefined && { bytes }),
    ...(known !== undefined && { unless: known }),
    ...((a.follow ?? b.follow) === true && { follow: true }),
    ...((a.list ?? b.list) === true && { list: true }),
  };
}
