/** What no function may count on: state that hides in a module. */
let count = 0;

export function countUp(): number {
  return ++count;
}
