import type { Config, CustomStep } from './core/configuration.ts';

export type { AccountConfig, Config, CustomStep, DotfileSource } from './core/configuration.ts';
export type { Content, Entry, Facts, Reading } from './core/facts.ts';
export type {
  Change,
  CommandChange,
  Desired,
  EntryChange,
  LocalFile,
  LoginShellChange,
  PackageWish,
  Plan,
  Step,
  Verdict,
} from './core/plan.ts';
export type { RemotePath } from './core/remote-path.ts';
export { ABSENT, contentOf, entryAt, realPath, same, sameContent } from './core/facts.ts';
export { joinPath, parentOf, remotePath } from './core/remote-path.ts';
export { prepare, type PrepareOptions } from './prepare-account.ts';

/** A step of your own, as it is: TypeScript then knows what it must be. */
export function defineStep(step: CustomStep): CustomStep {
  return step;
}

/** A configuration, as it is: TypeScript then knows what it may hold. */
export function defineConfig(config: Config): Config {
  return config;
}
