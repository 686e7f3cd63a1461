// Arrow keys move to the nearest button in their direction; Tab enters and leaves the whole.

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function rove(container) {
  const buttons = [...container.querySelectorAll("button")];
  buttons.forEach((button, i) => { button.tabIndex = i === 0 ? 0 : -1; });
  container.onfocusin = ({ target }) => buttons.forEach((button) => { button.tabIndex = button === target ? 0 : -1; });
  container.onkeydown = (event) => {
    const next = event.key === "Home" ? buttons[0] : event.key === "End" ? buttons.at(-1)
      : event.key in DIRECTIONS ? nearest(buttons, event.target, DIRECTIONS[event.key]) : null;
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
}

function nearest(buttons, from, [dx, dy]) {
  const middle = (button) => {
    const box = button.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(from);
  const distance = (button) => {
    const [toX, toY] = middle(button);
    const ahead = (toX - x) * dx + (toY - y) * dy;
    const aside = Math.abs((toX - x) * dy) + Math.abs((toY - y) * dx);
    return ahead > 2 ? ahead + 4 * aside : Infinity;
  };
  const best = buttons.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return distance(best) < Infinity ? best : null;
}
