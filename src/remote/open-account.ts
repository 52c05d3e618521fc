import type { Facts } from '../core/facts.ts';
import { PrepError } from '../core/problem.ts';
import type { Session } from '../ssh/session.ts';
import type { Account } from './account.ts';
import type { Opening } from './opening.ts';
import type { Holder } from './lock.ts';
import type { Probe } from './probe-script.ts';
import { prepareProbe, ShellAccount } from './shell-account.ts';

/**
 * Opens an account by whatever it lets in, a shell or else SFTP, and reads its facts.
 * `onWaiting` is told of another run that is waited for.
 * @throws PrepError `no-shell` where it lets in neither, `home-missing`, `busy`
 */
export async function openAccount(
  session: Session,
  probe: Probe,
  opening: Opening = prepareProbe(probe),
  onWaiting?: (holder: Holder) => void,
): Promise<{ account: Account; facts: Facts }> {
  try {
    return await ShellAccount.open(session, probe, opening, onWaiting);
  } catch (error) {
    if (!(error instanceof PrepError) || error.problem.code !== 'no-shell') throw error;
    const sftp = await session.sftp();
    if (sftp === undefined) throw error;
    const { SftpAccount } = await import('./sftp-account.ts');
    return SftpAccount.open(session, sftp, probe, { onWaiting });
  }
}
