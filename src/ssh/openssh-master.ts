import { channelOver, sftpOver } from './control-master.ts';
import type { Channel, Pty, Session, Sftp } from './session.ts';
import type { Settings } from './settings.ts';
import { refusedChannel } from './ssh-log.ts';

/** A session over a control master that is prep's own, and ends with it. */
export class OpenSshMaster implements Session {
  readonly label: string;
  readonly login: Session['login'];
  readonly key: string | undefined;
  readonly socket: string;
  readonly settings: Settings;
  readonly #log: () => string;
  readonly #end: () => void;

  constructor(
    settings: Settings,
    { login, key }: Pick<Session, 'login' | 'key'>,
    socket: string,
    own: { readonly log: () => string; readonly end: () => void },
  ) {
    this.label = settings.label;
    this.login = login;
    this.key = key;
    this.socket = socket;
    this.settings = settings;
    this.#log = own.log;
    this.#end = own.end;
  }

  /** Why the server would not connect it to another host; undefined where it did. */
  get refusal(): string | undefined {
    return refusedChannel(this.#log());
  }

  exec(command: string, pty?: Pty): Promise<Channel> {
    return Promise.resolve(channelOver(this.socket, this.settings, command, pty));
  }

  sftp(): Promise<Sftp | undefined> {
    return sftpOver(this.socket, this.settings);
  }

  /** Ends the master with all that goes over it, and removes its socket. */
  close(): void {
    this.#end();
  }
}
