import type { Duplex } from 'node:stream';
import { label, type Destination } from '../core/destination.ts';
import { PrepError, problemOf } from '../core/problem.ts';
import { connect } from '../ssh/connect.ts';
import { expiryOf, pastExpiry } from '../ssh/expired-password.ts';
import { HostKeyJudge } from '../ssh/host-key.ts';
import { NewPassword } from '../ssh/password.ts';
import { directly, throughCommand, type Route } from '../ssh/route.ts';
import type { Ssh2Session } from '../ssh/ssh2-session.ts';
import type { Settings } from '../ssh/settings.ts';
import { passwordFor } from './access.ts';
import { keysToOffer } from './login-keys.ts';
import { passedOver } from '../ssh/beyond-ssh2.ts';
import type { World } from './world.ts';

/** A way to a host that may lead over others. */
export interface Way {
  readonly route: Route;
  /** Remembers the host keys of the hosts on the way that were accepted for the first time. */
  remember(): Promise<void>;
  /** Hangs up on the hosts on the way. */
  close(): void;
}

/**
 * How to reach a host: straight, through ProxyCommand, or over jump hosts. Each hop is a login of its
 * own, with its own host key and its own password asked under its own name; it is made once, and every
 * connection to the host goes over it.
 */
export function wayTo(world: World, settings: Settings): Way {
  const nothing = { remember: () => Promise.resolve(), close: () => undefined };
  if (settings.proxyCommand !== undefined) {
    return { route: throughCommand(settings.proxyCommand), ...nothing };
  }
  const last = settings.jump.at(-1);
  if (last === undefined) return { route: directly, ...nothing };
  const before = settings.jump.slice(0, -1);
  return world.hops?.to(last, before) ?? overHop(world, last, before);
}

/** Logs in to each jump host once, for all accounts behind it. */
export class SharedHops {
  readonly #world: World;
  readonly #ways = new Map<string, Way>();

  /** `world` is that of no account: its prompter may ask at any time. */
  constructor(world: World) {
    this.#world = world;
  }

  /** The way over a host, which itself is reached over the hosts `before` it; it stays open when one account is done with it. */
  to(hop: Destination, before: readonly Destination[]): Way {
    const name = [...before, hop].map((host) => label(host)).join(',');
    const way = this.#ways.get(name) ?? overHop(this.#world, hop, before);
    this.#ways.set(name, way);
    return { ...way, close: () => undefined };
  }

  /** Hangs up on all of them. */
  close(): void {
    for (const way of this.#ways.values()) way.close();
  }
}

function overHop(world: World, hop: Destination, before: readonly Destination[]): Way {
  let reached: Promise<Hop> | undefined;
  return {
    route: async (beyond: Settings): Promise<Duplex> => {
      if (reached !== undefined) return (await reached).session.forward(beyond);
      reached = reachHop(world, hop, before, beyond);
      const { onwards } = await reached;
      if ('refused' in onwards) throw onwards.refused;
      return onwards;
    },
    remember: async () => {
      const there = await reached;
      await there?.way.remember();
      await there?.judge.remember();
    },
    close: () => {
      reached?.then(closeHop).catch(() => undefined);
    },
  };
}

interface Hop {
  readonly session: Ssh2Session;
  readonly judge: HostKeyJudge;
  readonly way: Way;
  /** The first connection from there; that it was refused is no matter to others who go over this host. */
  readonly onwards: Onwards;
}

type Onwards = Duplex | { readonly refused: unknown };

function closeHop({ session, way }: Hop): void {
  session.close();
  way.close();
}

/** Logs in to a host on the way, and goes on from there. */
async function reachHop(
  world: World,
  hop: Destination,
  before: readonly Destination[],
  beyond: Settings,
): Promise<Hop> {
  const settings = await world.hopSettings(hop, before);
  const way = wayTo(world, settings);
  const judge = await HostKeyJudge.read(settings, world.prompter);
  const note = (text: string): void =>
    world.observe({ type: 'note', destination: hop, text: `jump host: ${text}` });
  passedOver(settings).forEach(note);
  const password = passwordFor(world, settings);
  const access = {
    user: settings.user,
    keys: await keysToOffer(world, settings, [], note),
    methods: settings.methods,
    password,
    prompter: world.prompter,
    ...(!world.wishes.dryRun && { newPassword: new NewPassword(settings.label, world.prompter) }),
    note,
  };
  const logIn = (): Promise<Ssh2Session> => connect(settings, access, judge, { route: way.route });
  try {
    const onwards = (session: Ssh2Session): Promise<Onwards> => goOn(session, beyond);
    const { session, result } = await pastExpiry(await logIn(), onwards, { ...access, logIn });
    const refused = 'refused' in result ? { refused: atHop(settings, result.refused) } : undefined;
    return { session, judge, way, onwards: refused ?? result };
  } catch (error) {
    way.close();
    throw atHop(settings, error);
  }
}

/** The first connection from a host on the way; an expired password shows itself by its being forbidden. */
async function goOn(session: Ssh2Session, beyond: Settings): Promise<Onwards> {
  try {
    return await session.forward(beyond);
  } catch (error) {
    if (problemOf(error).code === 'no-answer') return { refused: error };
    const expiry = await expiryOf(session);
    if (expiry !== undefined) throw expiry;
    return { refused: error };
  }
}

/** What went wrong at a host on the way says so; what the person did, and what a hop before it had, stays as it is. */
export function atHop({ label }: Settings, error: unknown): unknown {
  const problem = problemOf(error);
  const asItIs = ['interrupted', 'no-answer-given', 'needs-an-answer', 'jump-host'];
  if (asItIs.includes(problem.code)) return error;
  // What is beyond the host says itself from where it cannot be reached.
  if (problem.code === 'no-answer' && problem.from === label) return error;
  if (problem.code === 'cannot-connect' && problem.cause.startsWith(`from ${label}: `))
    return error;
  return new PrepError({ code: 'jump-host', hop: label, problem }, error);
}
