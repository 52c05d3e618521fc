/**
 * Whether one of some names is meant by a list of patterns (ssh_config(5), PATTERNS): by one at least, and by none of
 * those after a `!`. `means` tells of one pattern and one name, where wildcards are not all there is to it.
 */
export function matchesPatterns(
  patterns: readonly string[],
  names: readonly string[],
  means: (pattern: string, name: string) => boolean = matchesWildcards,
): boolean {
  const matches = (pattern: string): boolean => names.some((name) => means(pattern, name));
  if (patterns.some((pattern) => pattern.startsWith('!') && matches(pattern.slice(1))))
    return false;
  return patterns.some((pattern) => !pattern.startsWith('!') && matches(pattern));
}

/** Whether a pattern with `*` and `?` matches a whole name; without the exponential backtracking of a RegExp. */
export function matchesWildcards(pattern: string, name: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < name.length;) {
    if (pattern[at] === '*') {
      star = at++;
      resume = i;
    } else if (pattern[at] === '?' || pattern[at] === name[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++resume;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
