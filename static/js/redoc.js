// ReDoc over the schema of this server.
const place = document.getElementById("redoc");

// ReDoc asks another host for its maker's mark, by attribute and by property. Nothing here asks other hosts; the name
// beside the mark stays.
const image = HTMLImageElement.prototype;
const source = Object.getOwnPropertyDescriptor(image, "src");
const isOurs = (address) => new URL(address, location.href).host === location.host;

image.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(value)) Element.prototype.setAttribute.call(this, name, value);
};
Object.defineProperty(image, "src", {
  ...source,
  set(address) {
    if (isOurs(address)) source.set.call(this, address);
  },
});

window.Redoc.init(
  place.dataset.schema,
  { hideDownloadButton: true, pathInMiddlePanel: true, scrollYOffset: ".documents-bar" },
  place,
);
