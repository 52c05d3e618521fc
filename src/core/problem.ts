import { words } from './problem-words.ts';

/** Everything prep can complain about, each with exactly the fields its sentence needs. */
export type Problem =
  // what the user typed (exit status 2)
  | { code: 'usage'; text: string }
  | { code: 'bad-destination'; text: string }
  | { code: 'bad-port'; text: string }
  | { code: 'bad-hosts-line'; cause: string; action: string }
  /** `where` is `line 3`, `host web1` or empty. */
  | { code: 'in-hosts-file'; file: string; where: string; problem: Problem }
  /** `where`: the place in the file, as its language would write it; empty for the whole. */
  | { code: 'bad-config'; file: string; where: string; cause: string }
  | { code: 'config-exists'; file: string }
  // this machine
  | { code: 'cannot-read'; file: string; what: string; cause: string; next?: string }
  | { code: 'cannot-write'; file: string; what: string; cause: string }
  | { code: 'not-a-public-key'; file: string; found: string }
  | { code: 'no-key' }
  | { code: 'key-exists'; file: string }
  | { code: 'cannot-make-key'; cause: string }
  | { code: 'not-private'; folder: string; found: string }
  | { code: 'no-socket-folder'; folder: string }
  | { code: 'name-taken'; name: string; file: string; line: number }
  | { code: 'needs-an-answer'; question: string; flag: string }
  | { code: 'no-answer-given'; question: string }
  | { code: 'interrupted' }
  // on the way there
  /** `family` of IP, where only addresses of one are wanted. */
  | { code: 'cannot-resolve'; host: string; family?: 4 | 6 }
  | { code: 'cannot-connect'; host: string; port: number; cause: string }
  /** `from`: the jump host that asked. */
  | { code: 'no-answer'; host: string; port: number; seconds: number; from?: string }
  | { code: 'not-ssh'; host: string; port: number; said: string }
  | {
      code: 'no-common-algorithm';
      what: string;
      /** What the server offers instead. */
      offers: readonly string[];
      /** The keyword of ssh_config that would allow one of them; `limits` where it is there and leaves less. */
      setting?: string;
      limits: boolean;
    }
  | { code: 'algorithms-unsupported'; setting: string; known: readonly string[] }
  | { code: 'host-key-unknown'; host: string; keyType: string; fingerprint: string; file: string }
  | { code: 'host-key-declined'; host: string }
  | {
      code: 'host-key-changed' | 'host-key-revoked';
      host: string;
      keyType: string;
      fingerprint: string;
      file: string;
      line: number;
    }
  | { code: 'master-dead'; socket: string; said: string }
  | { code: 'nothing-open' }
  | { code: 'jump-host'; hop: string; problem: Problem }
  // logging in
  | { code: 'wrong-password'; tries: number }
  | {
      code: 'password-not-offered';
      offers: readonly string[];
      /** The methods that were accepted as factors before. */
      accepted: readonly string[];
      /** Fingerprints of the keys that were tried. */
      keys: readonly string[];
    }
  | { code: 'answers-refused'; tries: number }
  | { code: 'login-cut-off'; said: string }
  | { code: 'login-ruled-out'; methods: readonly string[]; keyTried: boolean }
  | { code: 'password-expired' }
  | { code: 'new-password-refused'; said: string }
  | { code: 'hung-up'; during: string; said: string }
  | { code: 'no-openssh'; wanted: string }
  | { code: 'openssh-failed'; said: string }
  // the account
  | { code: 'no-shell'; said: string }
  | { code: 'home-missing'; home: string }
  | { code: 'no-checksums' }
  | { code: 'busy'; since: string; process: string; host: string }
  | { code: 'no-answer-from-shell'; seconds: number }
  | { code: 'connection-lost'; certain: number; uncertain: number }
  // a change that did not come about
  | { code: 'stale'; path: string; found: string }
  | { code: 'disk-full' | 'not-writable' | 'write-failed'; path: string; said: string }
  | { code: 'shell-does-not-start'; shell: string; said: string }
  | { code: 'chsh-refused'; tool: string; said: string }
  | { code: 'chsh-wrong-password'; tool: string }
  | { code: 'command-failed'; command: string; status: number; said: string }
  | { code: 'not-tried'; because: string }
  // afterwards
  | { code: 'not-as-predicted'; paths: readonly string[] }
  | { code: 'key-refused'; because: string }
  | { code: 'key-not-enough'; wants: string }
  | { code: 'unexpected'; cause: string };

/** A problem on its way to the person; the library's error that showed it is kept as `cause`. */
export class PrepError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, cause?: unknown) {
    super(explain(problem).sentence, { cause });
    this.name = 'PrepError';
    this.problem = problem;
  }
}

/** What a person is told: one sentence (cause, then next action) without the account's name, and the exit status. */
export interface Explanation {
  readonly sentence: string;
  readonly exit: 1 | 2 | 130;
}

/** The sentence for a problem. Text that came from elsewhere is made harmless here. */
export function explain(problem: Problem): Explanation {
  const [cause, action, exit] = words(problem);
  return { sentence: action === '' ? cause : `${cause}; ${action}`, exit: exit ?? 1 };
}

/** Wraps whatever was thrown; what is not ours yet becomes `unexpected`. */
export function problemOf(error: unknown): Problem {
  if (error instanceof PrepError) return error.problem;
  return { code: 'unexpected', cause: error instanceof Error ? error.message : String(error) };
}
