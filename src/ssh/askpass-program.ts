import { connect } from 'node:net';

/**
 * prep as the program that SSH_ASKPASS names: passes the question on to the prep that started ssh, and
 * prints its answer. Gives the exit status; 1 means that there is no answer.
 */
export function askPrep(socket: string, prompt: string): Promise<number> {
  const { PREP_ASKPASS_TOKEN: token = '', SSH_ASKPASS_PROMPT: hint = '' } = process.env;
  return new Promise((resolve) => {
    let answer: Buffer | undefined;
    const wire = connect(socket, () => {
      wire.write(`${JSON.stringify({ token, prompt, hint })}\n`);
    });
    wire
      .on('data', (data: Buffer) => (answer = Buffer.concat([answer ?? Buffer.alloc(0), data])))
      .on('end', () => {
        wire.end();
        if (answer === undefined) return resolve(1);
        process.stdout.write(`${answer.toString('utf8')}\n`, () => resolve(0));
      })
      .on('error', () => resolve(1));
  });
}
