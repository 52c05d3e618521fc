import type { Client } from 'ssh2';
import type { Secret } from '../core/secret.ts';

/* oxlint-disable no-underscore-dangle -- ssh2 names its private parts so */

/** What ssh2 1.17 knows and keeps to itself; its version is pinned, and a test holds each use. */
interface Inside {
  readonly config: { password: string | undefined };
  readonly _protocol: {
    readonly _handlers: {
      USERAUTH_FAILURE: (protocol: unknown, left: readonly string[], partial: boolean) => void;
    };
    /** The methods of the requests that have no answer yet. */
    readonly _authsQueue: string[];
  };
}

/**
 * Listens to every SSH_MSG_USERAUTH_FAILURE: where a key was offered, ssh2 hands on neither what can
 * continue nor that it was accepted as one factor. `heard` says whether it has gone on by itself.
 */
export function hearFailures(
  client: Client,
  heard: (left: readonly string[], partial: boolean) => boolean,
): void {
  const handlers = inside(client)._protocol._handlers;
  const usual = handlers.USERAUTH_FAILURE;
  handlers.USERAUTH_FAILURE = (protocol, left, partial): void => {
    if (!heard(left, partial)) usual(protocol, left, partial);
  };
}

/**
 * Answers SSH_MSG_USERAUTH_PASSWD_CHANGEREQ (RFC 4252 section 8) through ssh2's own `done`, which takes
 * the old password from where an authHandler never puts it, and which forgets that the first request
 * has had its answer.
 */
export function changePassword(
  client: Client,
  { current, next }: { readonly current: Secret; readonly next: Secret },
  done: (password: string) => void,
): void {
  const { config, _protocol } = inside(client);
  _protocol._authsQueue.shift();
  config.password = current.reveal();
  try {
    done(next.reveal());
  } finally {
    config.password = undefined;
  }
}

function inside(client: Client): Inside {
  return client as unknown as Inside;
}
