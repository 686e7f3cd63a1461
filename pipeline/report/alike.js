// The closer look also shows the training images that an image was most like, and the way to the map.

{
  const alike = byId("alike");
  const onMap = byId("on-map");
  closer.addEventListener("enlarged", ({ detail: { nearest, mapped, row } }) => {
    onMap.hidden = !mapped;
    onMap.querySelector("a").href = `map.html#row=${row}`;
    alike.hidden = nearest.length === 0;
    alike.querySelector("ol").replaceChildren(...nearest.map(([sprite, neighbour, label, distance]) => {
      const canvas = element("canvas", { width: size, height: size, ariaHidden: "true" });
      paint(canvas, sprite);
      const words = [element("strong", {}, String(label)), element("span", {}, `row ${neighbour}`), element("span", {}, `distance ${Math.round(distance).toLocaleString("en")}`)];
      return element("li", {}, canvas, ...words);
    }));
  });
}
