import { afterEach } from 'vitest';
import { startDriven, type DrivenServer, type Faults } from './driven-server.ts';
import { Laptop, runPrep, type PrepOptions, type PrepRun } from './laptop.ts';

/** A server that the test drives, and a laptop that knows its key. */
export interface DrivenVisit {
  readonly server: DrivenServer;
  readonly laptop: Laptop;
  /** Runs prep on the server's account. */
  prep(args: readonly string[], options?: Partial<PrepOptions>): Promise<PrepRun>;
}

const leaving: (() => unknown)[] = [];

/** For files whose tests drive their servers: both ends are gone after each test. */
export function useDriven(): (faults: Faults) => Promise<DrivenVisit> {
  afterEach(() => Promise.all(leaving.splice(0).map((leave) => leave())));
  return async (faults) => {
    const server = await startDriven(faults);
    leaving.push(() => server.stop());
    const laptop = new Laptop({ knownHosts: server.knownHosts });
    leaving.push(() => laptop.remove());
    const destination = `${server.sandbox.user}@${server.host}:${server.port}`;
    return {
      server,
      laptop,
      prep: (args, options = {}) => runPrep([...args, destination], { laptop, ...options }),
    };
  };
}
