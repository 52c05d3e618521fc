import { counted } from './count.ts';
import { printable } from './printable.ts';
import type { Problem } from './problem.ts';
import { shellWord } from './shell-word.ts';

/** Cause, next action (empty where there is none), and the exit status where it is not 1. */
export type Words = readonly [cause: string, action: string, exit?: 1 | 2 | 130];

/** What is said of each problem; text that came from elsewhere is made harmless. */
export function words(p: Problem): Words {
  switch (p.code) {
    case 'usage':
      return [printable(p.text), 'see prep --help', 2];
    case 'bad-destination':
      return [`"${printable(p.text)}" is not a destination`, 'write it as [user@]host[:port]', 2];
    case 'bad-port':
      return [`"${printable(p.text)}" is not a port`, 'give a number from 1 to 65535', 2];
    case 'bad-hosts-line':
      return [printable(p.cause), printable(p.action), 2];
    case 'in-hosts-file': {
      const [cause, action] = words(p.problem);
      return [`${printable(`${p.file} ${p.where}`.trim())}: ${cause}`, action, 2];
    }
    case 'bad-config':
      return [
        `${printable(p.file)}: ${p.where === '' ? '' : `${printable(p.where)} `}${printable(p.cause)}`,
        'mend it, or name another file with --config',
        2,
      ];
    case 'config-exists':
      return [
        `${printable(p.file)} exists already and is left alone`,
        'edit it, or name another file with --config',
      ];
    case 'cannot-read':
      return [
        `cannot read the ${p.what} ${printable(p.file)} (${printable(p.cause)})`,
        p.next ?? 'check its name and permissions',
      ];
    case 'cannot-write':
      return [
        `cannot write the ${p.what} ${printable(p.file)} (${printable(p.cause)})`,
        'check its folder and permissions',
      ];
    case 'not-a-public-key':
      return [
        `${printable(p.file)} is not an SSH public key but ${printable(p.found)}`,
        'name the .pub file with -i',
      ];
    case 'no-key':
      return [
        'there is no SSH key on this machine to install',
        'make one with ssh-keygen -t ed25519, or name one with -i',
      ];
    case 'key-exists':
      return [
        `${printable(p.file)} exists already and is left alone`,
        'name the key to install with -i',
      ];
    case 'cannot-make-key':
      return [
        `could not make a key pair (${printable(p.cause)})`,
        'make one with ssh-keygen -t ed25519',
      ];
    case 'not-private':
      return [
        `${printable(p.folder)} is not a directory of your own (it is ${printable(p.found)})`,
        'look at it and move it out of the way',
      ];
    case 'no-socket-folder':
      return [
        `there is no private directory whose path is short enough for a socket (${printable(p.folder)} is not)`,
        'set XDG_RUNTIME_DIR to a short one that only you can enter',
      ];
    case 'name-taken':
      return [
        `"${printable(p.name)}" means something else already in ${printable(p.file)} line ${p.line}, and nothing was changed`,
        'choose another name, or change that block',
      ];
    case 'needs-an-answer':
      return [`there is no terminal to ask: ${printable(p.question)}`, p.flag];
    case 'no-answer-given':
      return [`no answer was given to: ${printable(p.question)}`, 'run prep again'];
    case 'interrupted':
      return ['interrupted', 'run prep again: it does only what is missing', 130];
    case 'cannot-resolve':
      if (p.family !== undefined) {
        return [
          `there is no IPv${p.family} address of ${printable(p.host)}`,
          'check the name, and AddressFamily in ssh_config',
        ];
      }
      return [`there is no host named ${printable(p.host)}`, 'check the name and the network'];
    case 'cannot-connect':
      return [
        `cannot connect to ${printable(p.host)} port ${p.port} (${printable(p.cause)})`,
        'check the host, the port and the network',
      ];
    case 'no-answer':
      return [
        `no answer from ${printable(p.host)} port ${p.port} within ${p.seconds} s${p.from === undefined ? '' : ` (from ${printable(p.from)})`}`,
        'check the host, the port and any firewall between',
      ];
    case 'not-ssh':
      return [
        `what answers on ${printable(p.host)} port ${p.port} is not an SSH server${p.said === '' ? '' : ` (it said "${printable(p.said)}")`}`,
        'check the port (-p)',
      ];
    case 'no-common-algorithm':
      return nothingInCommon(p);
    case 'algorithms-unsupported':
      return [
        `ssh_config's ${p.setting} leaves nothing that prep supports`,
        `allow one of these for this host: ${p.known.join(', ')}`,
      ];
    case 'host-key-unknown':
      return [
        `its host key is not known (${p.keyType} ${p.fingerprint})`,
        `compare the fingerprint and run prep with --host-key accept-new, or add the key to ${printable(p.file)}`,
      ];
    case 'host-key-declined':
      return [
        `the host key of ${printable(p.host)} was not accepted`,
        'ask its administrator for the fingerprint and run prep again',
      ];
    case 'host-key-changed':
      return [
        `THE HOST KEY HAS CHANGED to ${p.keyType} ${p.fingerprint}, against ${printable(p.file)} line ${p.line}: someone may be listening in, or the host was reinstalled`,
        `if you know that it was, clear the old key with: ssh-keygen -f ${shellWord(printable(p.file))} -R ${shellWord(printable(p.host))}`,
      ];
    case 'host-key-revoked':
      return [
        `its host key ${p.keyType} ${p.fingerprint} is revoked by ${printable(p.file)} line ${p.line}`,
        'do not log in there; ask its administrator for the new key',
      ];
    case 'master-dead':
      return [
        `no control master answers at ${printable(p.socket)}${p.said === '' ? '' : ` (${printable(p.said)})`}`,
        `start one with: ssh -M -S ${shellWord(printable(p.socket))}, or leave -S away`,
      ];
    case 'nothing-open':
      return ['no connection is open for sharing', 'see prep open --list'];
    case 'jump-host': {
      const [cause, action, exit] = words(p.problem);
      const where = `at the jump host ${printable(p.hop)}`;
      return [`${where}: ${cause}`, action, exit ?? 1];
    }
    case 'wrong-password':
      return [
        `the password was refused ${p.tries === 1 ? 'once' : `${p.tries} times`}`,
        'check the user name and the password, and whether the account is locked or expired or its password login disabled',
      ];
    case 'password-not-offered':
      return notOffered(p);
    case 'answers-refused':
      return [
        `the answers to its questions were refused ${p.tries} times`,
        'check the code and the clock of what makes it, and the password if one was given beforehand',
      ];
    case 'login-cut-off':
      return [
        `the server hung up instead of answering the login${p.said === '' ? '' : ` (it said "${printable(p.said)}")`}`,
        'ask its administrator whether the account is expired or locked or may not log in from here',
      ];
    case 'login-ruled-out':
      return [
        `ssh_config rules out logging in there by ${p.methods.join(' or ')}${p.keyTried ? ', and the server refused the key' : ''}`,
        'allow it for this host (PasswordAuthentication, KbdInteractiveAuthentication, PubkeyAuthentication, PreferredAuthentications), or name a key that the server knows with -i',
      ];
    case 'password-expired':
      return [
        'its password must be changed before anything else, which a dry run does not do',
        'run prep without --dry-run',
      ];
    case 'new-password-refused':
      return [
        `the server demands a new password and did not take the one given${p.said === '' ? '' : ` (${printable(p.said)})`}`,
        'choose another and run prep again',
      ];
    case 'hung-up':
      return [
        `the server hung up during ${p.during}${p.said === '' ? '' : ` (${printable(p.said)})`}`,
        'wait a minute and try again, or ask its administrator whether this address is blocked',
      ];
    case 'no-openssh':
      return [
        `OpenSSH's ssh, which ${printable(p.wanted)} needs, is not installed on this machine`,
        'install it and run prep again',
      ];
    case 'openssh-failed':
      return [
        `ssh could not log in${p.said === '' ? '' : ` (${printable(p.said)})`}`,
        'try it by hand with ssh -v',
      ];
    case 'no-shell':
      return [
        `logged in, but the account runs no commands${p.said === '' ? '' : ` (it said "${printable(p.said)}")`}`,
        'ask its administrator for a login shell',
      ];
    case 'home-missing':
      return [
        `the home directory ${printable(p.home)} does not exist`,
        'ask the administrator to create it',
      ];
    case 'no-checksums':
      return [
        'the server has neither cksum nor awk with od or hexdump, so files there cannot be compared',
        'have one of them installed there',
      ];
    case 'busy': {
      const since = p.since === '' ? '' : ` since ${printable(p.since)}`;
      const other = `another run of prep has been at work there${since}`;
      return p.process === ''
        ? [other, 'run prep again when it has ended']
        : [
            `${other} (process ${printable(p.process)} on ${printable(p.host)})`,
            'run prep again when it has ended, or end that process',
          ];
    }
    case 'no-answer-from-shell':
      return [
        `the remote shell did not answer within ${p.seconds} s`,
        'look for a start-up file there that waits for something or prints without end, then run prep again',
      ];
    case 'connection-lost':
      return [
        p.certain + p.uncertain === 0
          ? 'the connection broke'
          : `the connection broke; of ${counted(p.certain + p.uncertain, 'change')}, ${p.certain} ${p.certain === 1 ? 'is' : 'are'} certain and ${p.uncertain} ${p.uncertain === 1 ? 'is' : 'are'} not`,
        'run prep again: it does only what is missing',
      ];
    case 'stale':
      return [
        `${printable(p.path)} changed after it was shown${p.found === '' ? '' : ` (now ${printable(p.found)})`}`,
        'nothing was written to it; run prep again',
      ];
    case 'disk-full':
      return [
        `${printable(p.path)} could not be written: no space left (${printable(p.said)})`,
        'free some space there and run prep again; the old file is untouched',
      ];
    case 'not-writable':
      return [
        `${printable(p.path)} may not be written (${printable(p.said)})`,
        'ask its administrator to make it writable; the old file is untouched',
      ];
    case 'write-failed':
      return [
        `${printable(p.path)} could not be written (${printable(p.said)})`,
        'the old file is untouched; look there for what is in the way, and run prep again',
      ];
    case 'shell-does-not-start':
      return [
        `${printable(p.shell)} does not start with these dotfiles (${printable(p.said)})`,
        'mend them and run prep again; the login shell was left alone',
      ];
    case 'chsh-refused':
      return [
        `${p.tool} refused to change the login shell (${printable(p.said)})`,
        'ask the administrator to change it, or run prep again with --shell-fallback',
      ];
    case 'chsh-wrong-password':
      return [
        `${p.tool} did not accept the password`,
        'run prep again with the password of the account',
      ];
    case 'command-failed':
      return [
        `${printable(p.command)} ended with status ${p.status}${p.said === '' ? '' : ` (${printable(p.said)})`}`,
        'run it there by hand to see more; what depends on it was not done',
      ];
    case 'not-tried':
      return [`not tried: ${printable(p.because)}`, 'ask the administrator to do it'];
    case 'not-as-predicted':
      return [
        `afterwards ${p.paths.map(printable).join(', ')} differed from what was planned`,
        'run prep again with -v',
      ];
    case 'key-refused':
      return ['the server does not accept the key', printable(p.because)];
    case 'key-not-enough':
      return [
        `the server takes the key, and wants more besides (${printable(p.wants)}), which the trial login cannot give`,
        'log in once with ssh to see the rest',
      ];
    case 'unexpected':
      return [
        `something unexpected happened (${printable(p.cause)})`,
        'run prep again with DEBUG=1 and report what it prints',
      ];
  }
}

function nothingInCommon(p: Problem & { code: 'no-common-algorithm' }): Words {
  const offers = p.offers.map(printable);
  const only = offers.length === 0 ? '' : ` (it offers only ${offers.join(', ')})`;
  const cause = `the server and prep have no ${p.what} in common${only}`;
  const [oldest] = offers.slice(-1);
  if (p.setting === undefined || oldest === undefined)
    return [cause, 'have its SSH server updated'];
  if (p.limits)
    return [cause, `allow more in ${p.setting} of ssh_config, or have its SSH server updated`];
  return [
    cause,
    `have its SSH server updated, or allow the old one in ~/.ssh/config (${p.setting} +${oldest}), with --transport openssh where prep has none such`,
  ];
}

/** What the server wants and nobody here has. */
function notOffered(p: Problem & { code: 'password-not-offered' }): Words {
  const offers = p.offers.map(printable).join(', ') || 'nothing';
  const taken = p.accepted.map((method) => (method === 'publickey' ? 'the key' : 'the password'));
  const first = taken.length === 0 ? '' : `the server takes ${taken.join(' and ')}, and `;
  const known =
    p.keys.length === 0
      ? 'there is none to offer'
      : `does not know ${p.keys.map(printable).join(', ')}`;
  if (p.offers.length > 0 && p.offers.every((method) => method === 'publickey')) {
    return [
      `${first}${first === '' ? 'the server lets nobody in without a key' : 'wants a key besides'}, and ${known}`,
      'ask its administrator to add your public key to the account, or name a key that it knows with -i',
    ];
  }
  if (first !== '') {
    return [`${first}wants more (${offers})`, 'ask its administrator how to log in there'];
  }
  return [
    `the server takes no password (it offers ${offers})${p.keys.length > 0 ? ' and refused the key' : ''}`,
    'name a key that it knows with -i, or have password login allowed there',
  ];
}
