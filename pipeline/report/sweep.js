// Trials chosen in the table stand out among the lines.

const lines = document.querySelector(".parallel");
const picks = [...document.querySelectorAll(".pick")];

for (const pick of picks) {
  pick.addEventListener("click", () => {
    const chosen = pick.ariaPressed !== "true";
    pick.ariaPressed = chosen;
    const line = lines.querySelector(`[data-trial="${pick.value}"]`);
    line.classList.toggle("picked", chosen);
    if (chosen) line.parentNode.insertBefore(line, lines.querySelector(".halo"));
    lines.classList.toggle("picking", picks.some(({ ariaPressed }) => ariaPressed === "true"));
  });
}
