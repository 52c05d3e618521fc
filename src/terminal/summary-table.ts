import { counted } from '../core/count.ts';
import { label } from '../core/destination.ts';
import type { Report } from '../core/event.ts';
import { printable } from '../core/printable.ts';
import { explain } from '../core/problem.ts';

/** A row of the table that closes a run over several accounts. */
export interface Row {
  readonly status: Report['status'];
  readonly text: string;
}

/** The longest account that makes the others line up with it. */
const WIDEST = 40;

/** What became of each account, one a line: which, what, why. */
export function summaryRows(reports: readonly Report[]): readonly Row[] {
  const names = reports.map(({ destination }) => label(destination));
  const width = Math.min(WIDEST, Math.max(...names.map((name) => name.length)));
  return reports.map((report, index) => {
    const { status } = report;
    const cells = `  ${names[index]!.padEnd(width)}  ${status.padEnd(9)}  ${reasonOf(report)}`;
    return { status, text: cells.trimEnd() };
  });
}

/** `3 accounts: 1 changed, 2 failed`. */
export function countsOf(reports: readonly Report[]): string {
  const parts = (['changed', 'planned', 'unchanged', 'failed'] as const).flatMap((status) => {
    const count = reports.filter((report) => report.status === status).length;
    return count === 0 ? [] : [`${count} ${status}`];
  });
  return `${counted(reports.length, 'account')}: ${parts.join(', ')}`;
}

/** Why it ended as it did, or what was done, in one line. */
export function reasonOf({ status, steps, verified, problem }: Report): string {
  if (problem !== undefined) return explain(problem).sentence;
  const trouble = steps
    .filter((step) => step.status === 'failed' || step.status === 'blocked')
    .map(({ name, status: what, reason }) => `${name} ${what} (${printable(reason)})`);
  const count = steps
    .filter((step) => step.status === 'changed' || step.status === 'planned')
    .reduce((sum, step) => sum + step.changes.length, 0);
  const done = count === 0 ? [] : [counted(count, 'change')];
  const proof = status === 'changed' && verified === true ? ['logged in with the key'] : [];
  return [...done, ...proof, ...trouble].join(', ');
}
