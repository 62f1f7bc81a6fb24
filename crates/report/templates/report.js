"use strict";
// Reads values under the pointer or the slider, and draws the curves of other patients. What is
// drawn comes with the page: numbers, and axes as they are to stand.

const group = document.getElementById("group");
const groupShown = document.getElementById("group-shown");
const arms = [...document.querySelectorAll(".arms label")].map((label, index) => ({
  name: label.textContent.trim(),
  swatch: label.querySelector("svg"),
  box: document.getElementById(`arm-${index}`),
}));
const panels = [...document.querySelectorAll("figure.curves")].map(panel);

panels.forEach((each) => each.read());
document.querySelectorAll(".for-script").forEach((element) => (element.hidden = false));
document.body.classList.add("scripted");
arms.forEach((arm) => arm.box.addEventListener("change", () => panels.forEach((each) => each.read())));
group?.addEventListener("change", () => {
  groupShown.textContent = `Patients: ${group.selectedOptions[0].textContent}.`;
  panels.forEach((each) => each.show(Number(group.value)));
});

function panel(figure) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector(".drawing");
  const slider = figure.querySelector("input");
  const output = figure.querySelector("output");
  const [left, right, top, bottom] = data.frame;
  const [low, high] = data.x;
  const across = (index) => left + ((right - left) * (data.places[index] - low)) / (high - low);
  let curves = decoded(0);

  slider.max = data.places.length - 1;
  slider.addEventListener("input", read);
  svg.addEventListener("pointermove", (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    slider.value = nearest((index) => Math.abs(across(index) - point.x));
    read();
  });
  slider.value = nearest((index) => Math.abs(data.places[index] - document.body.dataset.reading));

  function nearest(distance) {
    return data.places.reduce((best, _, index) => (distance(index) < distance(best) ? index : best), 0);
  }

  // Values and limits of a group's curves.
  function decoded(index) {
    const unit = 10 ** data.decimals;
    return data.groups[index].curves.map((texts) => {
      const [values, below, above] = texts.map(numbers);
      return [values, values.map((value, at) => value - below[at]), values.map((value, at) => value + above[at])].map(
        (whole) => whole.map((value) => value / unit),
      );
    });
  }

  function show(index) {
    const { y, axis, at_risk } = data.groups[index];
    curves = decoded(index);
    const place = (value, at) => {
      const share = Math.min(Math.max((value - y[0]) / (y[1] - y[0]), 0), 1);
      return `${across(at).toFixed(1)} ${(bottom - (bottom - top) * share).toFixed(1)}`;
    };
    const path = (places) => `M${places.join("L")}`;
    svg.querySelector(".y-axis").innerHTML = axis;
    curves.forEach(([values, lower, upper], arm) => {
      const curve = svg.querySelector(`.series-${arm}`);
      const band = [...upper.map(place), ...lower.map(place).reverse()];
      curve.querySelector(".line").setAttribute("d", path(values.map(place)));
      curve.querySelector(".band").setAttribute("d", `${path(band)}z`);
      figure.querySelectorAll(`.risk .series-${arm} tr:last-child td:not(:first-child)`).forEach((cell, column) => {
        cell.textContent = at_risk[arm][column];
      });
    });
    read();
  }

  function read() {
    const index = Number(slider.value);
    const years = `${data.places[index].toFixed(2)} years`;
    const told = (value) => value.toFixed(Math.min(data.decimals, 2));
    const lines = arms.flatMap(({ name, swatch, box }, arm) => {
      if (!box.checked) return [];
      const [value, lower, upper] = curves[arm].map((numbers) => told(numbers[index]));
      const line = document.createElement("li");
      line.append(swatch.cloneNode(true), ` ${name}: ${value} (${lower} to ${upper})`);
      return [line];
    });
    const list = document.createElement("ul");
    list.append(...lines);
    output.replaceChildren(`At ${years}:`, list);
    slider.setAttribute("aria-valuetext", years);
    svg.querySelector(".cursor").setAttribute("d", `M${across(index).toFixed(1)} ${top}V${bottom}`);
  }

  return { show, read };
}

// Whole numbers of the encoded polyline algorithm: steps, five bits to a character.
function numbers(text) {
  const values = [];
  let [last, value, weight] = [0, 0, 1];
  for (const letter of text) {
    const bits = letter.charCodeAt(0) - 63;
    value += (bits % 32) * weight;
    weight *= 32;
    if (bits < 32) {
      last += value % 2 ? -(value + 1) / 2 : value / 2;
      values.push(last);
      [value, weight] = [0, 1];
    }
  }
  return values;
}
