/** Where a condition stops to hold. Intervals and smallest detectable regressions are found with it. */

// Halving an interval of length 1 so often leaves less than the last digit of a double.
const ROUNDS = 60;

/**
 * The point between two others at which a condition stops to hold.
 * @param holds true at `inside`, false at `outside`, and changing once between them
 * @returns the nearest point known on which it does not hold
 */
export function boundaryOf(holds: (x: number) => boolean, inside: number, outside: number): number {
  let near = inside;
  let far = outside;
  for (let round = 0; round < ROUNDS; round += 1) {
    const middle = (near + far) / 2;
    if (holds(middle)) near = middle;
    else far = middle;
  }
  return far;
}
