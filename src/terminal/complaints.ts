import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import { label, type Destination } from '../core/destination.ts';
import type { Event, StepReport } from '../core/event.ts';
import { printable } from '../core/printable.ts';
import { explain, type Problem } from '../core/problem.ts';

/** Problems on standard error, whatever the view: account, cause, next action; each sentence once. */
export class Complaints {
  readonly #err: Writable;
  readonly #told = new Set<string>();

  constructor(err: Writable) {
    this.#err = err;
  }

  /** Tells what is wrong according to an event, if anything is. */
  observe(event: Event): void {
    if (event.type === 'problem') this.tell(event.problem, event.destination);
    if (event.type === 'outcome' && event.outcome.result !== 'done') {
      this.tell(event.outcome.problem, event.destination);
    }
    if (event.type !== 'report') return;
    const { destination, steps, problem } = event.report;
    for (const [reason, names] of blockedBy(steps)) {
      const verb = names.length === 1 ? 'is' : 'are';
      this.#say(`${listed(names)} ${verb} blocked: ${printable(reason)}`, destination);
    }
    if (problem !== undefined) this.tell(problem, destination);
  }

  /** Tells a problem, of an account or of the whole run. */
  tell(problem: Problem, destination?: Destination): void {
    this.#say(explain(problem).sentence, destination);
  }

  #say(sentence: string, destination?: Destination): void {
    const account = destination === undefined ? '' : `${label(destination)}: `;
    const line = `prep: ${account}${sentence}`;
    if (this.#told.has(line)) return;
    this.#told.add(line);
    this.#err.write(`${styleText('red', line, { stream: this.#err })}\n`);
  }
}

/** The steps that are blocked, by what blocks them, in the order in which they come. */
function blockedBy(steps: readonly StepReport[]): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { name, status, reason } of steps) {
    if (status !== 'blocked') continue;
    const others = names.get(reason);
    if (others === undefined) names.set(reason, [name]);
    else others.push(name);
  }
  return names;
}

/** `a`, `a and b`, `a, b and c`. */
function listed(names: readonly string[]): string {
  const last = names.at(-1)!;
  return names.length === 1 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}
