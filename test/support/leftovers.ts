import { removeDeadAccounts } from './account.ts';

/** Before and after all tests: removes what a run that was killed left behind. */
export default function setup(): () => void {
  if (process.getuid?.() !== 0) return () => undefined;
  removeDeadAccounts();
  return removeDeadAccounts;
}
