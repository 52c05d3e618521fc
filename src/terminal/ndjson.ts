import { label } from '../core/destination.ts';
import type { EditReport, Event, LocalEdit, Outcome, Report, StepReport } from '../core/event.ts';
import { reasonOf, type Change, type Plan, type PlannedStep } from '../core/plan.ts';
import { explain, type Problem } from '../core/problem.ts';
import { pathBytes } from '../core/remote-path.ts';
import { Complaints } from './complaints.ts';
import type { Manner, Streams, View } from './view.ts';
import { actionOf, editActionOf } from './words.ts';

/**
 * Shows a run as one JSON object per line on standard output, the last one the summary. Problems stand on
 * standard error as well, as sentences. Contents of files never appear.
 */
export function ndjsonView({ out, err }: Streams, { verbosity }: Manner): View {
  const complaints = new Complaints(err);
  return {
    observe: (event) => {
      complaints.observe(event);
      const object = objectOf(event, verbosity === 'verbose');
      if (object !== undefined) out.write(`${encoded(object)}\n`);
    },
    concurrent: true,
    finish: async () => undefined,
    interrupt: () => complaints.tell({ code: 'interrupted' }),
  };
}

/** JSON in which no terminal finds anything to obey: what JSON leaves as it is, is escaped too. */
function encoded(object: object): string {
  return JSON.stringify(object).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function objectOf(event: Event, verbose: boolean): object | undefined {
  const { type } = event;
  if (type === 'summary') return summaryObject(event);
  if (type === 'report') return undefined;
  const destination = event.destination && label(event.destination);
  switch (type) {
    case 'note':
      return verbose ? { type, destination, text: event.text } : undefined;
    case 'notice':
    case 'banner':
      return { type, destination, text: event.text };
    case 'plan':
      return { type, destination, next: event.next, steps: plannedSteps(event.plan) };
    case 'outcome':
      return { type, destination, ...outcomeObject(event.outcome) };
    case 'applied':
      return { type, destination, steps: event.steps.map(stepObject) };
    case 'verified':
      return { type, destination, loginShell: event.loginShell };
    case 'edit':
      return { type, destination, next: event.next, ...editObject(event.edit) };
    case 'edited':
      return { type, destination, ...editedObject(event.report) };
    case 'problem':
      return { type, destination, ...problemObject(event.problem) };
    default:
      return undefined;
  }
}

function summaryObject({ type, reports, edits }: Event & { type: 'summary' }): object {
  const accounts = reports.map(accountObject);
  return { type, accounts, ...(edits && { edits: edits.map(editedObject) }) };
}

function editedObject({ edit, status, because }: EditReport): object {
  const { file, action } = editObject(edit);
  return { file, ...(status !== 'unchanged' && { action }), status, reason: because };
}

function editObject(edit: LocalEdit): { file: string; action: string; [more: string]: unknown } {
  const { file, reason, remarks } = edit;
  return { file, action: editActionOf(edit), reason, remarks };
}

function accountObject({ destination, status, steps, verified, problem }: Report): object {
  return {
    destination: label(destination),
    status,
    steps: steps.map(stepObject),
    verified: verified === true,
    ...(problem && { problem: problemObject(problem) }),
  };
}

function stepObject({ name, status, reason, changes }: StepReport): object {
  return { name, status, reason, changes: changes.map(changeObject) };
}

function plannedSteps({ steps }: Plan): object[] {
  return steps.map((step) => ({ name: step.name, ...verdictObject(step) }));
}

function verdictObject({ verdict }: PlannedStep): object {
  if (verdict.kind !== 'changes') {
    const status = verdict.kind === 'settled' ? 'unchanged' : 'blocked';
    return { status, reason: reasonOf(verdict), changes: [] };
  }
  const { changes, except } = verdict;
  const reason = reasonOf(verdict);
  const status = except === undefined ? 'planned' : 'blocked';
  return { status, reason, changes: changes.map(changeObject) };
}

function outcomeObject(outcome: Outcome): object {
  const { change, result } = outcome;
  const problem = result === 'done' ? {} : { problem: problemObject(outcome.problem) };
  return { result, change: changeObject(change), ...problem };
}

function changeObject(change: Change): object {
  const { what, reason } = change;
  const action = actionOf(change);
  if (what === 'entry') {
    return { what, path: pathBytes(change.path).toString('utf8'), action, reason };
  }
  if (what === 'command') return { what, argv: change.argv, as: change.as, action, reason };
  return { what, path: change.after, action, reason, before: change.before, after: change.after };
}

function problemObject(problem: Problem): object {
  const { sentence, exit } = explain(problem);
  return { code: problem.code, text: sentence, exit };
}
