import { string, uint32 } from './sftp-packets.ts';

/** The types of packets that a server sends (draft-ietf-secsh-filexfer-02, section 3). */
export const ANSWER = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attributes: 105,
} as const;

const [OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, , , , UNSUPPORTED] = Array(9).keys();

/** What an answer is before the request's number is put into it: a packet type and the rest. */
export function answerOf(type: number, ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from([type]), ...fields]);
}

/** Says that it is done. */
export const DONE = status(OK!, 'Success');

/** Says that there is no more to read. */
export const END_OF_FILE = status(EOF!, 'End of file');

/** Says that such a request is not known here. */
export const NOT_KNOWN = status(UNSUPPORTED!, 'Operation unsupported');

/** One path. */
export function nameOf(path: Buffer): Buffer {
  return answerOf(ANSWER.name, uint32(1), string(path), string(path), uint32(0));
}

/** What went wrong, in the protocol's few words for it. */
export function statusOf(error: NodeJS.ErrnoException): Buffer {
  if (error.code === 'ENOENT') return status(NO_SUCH_FILE!, 'No such file');
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return status(PERMISSION_DENIED!, 'Permission denied');
  }
  return status(FAILURE!, error.code === undefined ? error.message : 'Failure');
}

function status(code: number, message: string): Buffer {
  return answerOf(ANSWER.status, uint32(code), string(message), string(''));
}
