import { viewFor } from './at-terminal.ts';
import type { Options } from './cli/options.ts';
import { exitStatus } from './complain.ts';
import { wishesFor } from './configured.ts';
import type { Destination } from './core/destination.ts';
import type { Report } from './core/event.ts';
import type { Step } from './core/plan.ts';
import { problemOf } from './core/problem.ts';
import { unattended } from './core/unattended.ts';
import { runDemo } from './demo/demo.ts';
import { failure } from './run/fleet.ts';
import { gather } from './run/gather.ts';
import { prepare } from './run/prepare.ts';
import type { World } from './run/world.ts';
import { worldOf } from './world-of.ts';

/** Shows the whole job on an account of its own making, and gives prep's exit status. */
export async function demonstrate(options: Options, steps: readonly Step[]): Promise<number> {
  const view = await viewFor(options);
  const print = (line: string): boolean => process.stdout.write(`${line}\n`);
  return runDemo(async (destination, { home, password, knownHosts, sshConfig }) => {
    const { observe } = view;
    const onlooker = { view, prompter: unattended(true), attended: false };
    const wishes = wishesFor({ ...options, knownHosts, sshConfig }, undefined);
    const world = worldOf(wishes, steps, onlooker, home, { password });
    const report = await gather(world, [destination])
      .then((preparation) => prepare(world, destination, preparation))
      .catch((error: unknown) => failed(world, destination, error));
    observe({ type: 'report', report });
    observe({ type: 'summary', reports: [report] });
    await view.finish();
    return exitStatus(report);
  }, print);
}

function failed(world: World, destination: Destination, error: unknown): Report {
  const problem = problemOf(error);
  if (process.env['DEBUG']) process.stderr.write(`${String((error as Error).stack)}\n`);
  world.observe({ type: 'problem', destination, problem });
  return failure(destination, problem);
}
