/** Whether to try many times more than `npm test` has the time for: `npm run soak` sets `PREP_SOAK`. */
export const soak = (process.env['PREP_SOAK'] ?? '') !== '';
