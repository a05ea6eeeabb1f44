// Zoom and pan: where a page of given size lies in a stage of given size. Pure numbers.

const MARGIN = 20;
export const CLOSEST = 6;

export class Camera {
  constructor() {
    this.page = { width: 1, height: 1 };
    this.stage = { width: 1, height: 1 };
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
  }

  get fitScale() {
    const across = (this.stage.width - 2 * MARGIN) / this.page.width;
    const down = (this.stage.height - 2 * MARGIN) / this.page.height;
    return Math.max(0.02, Math.min(across, down));
  }

  fit() {
    this.scale = this.fitScale;
    this.x = (this.stage.width - this.page.width * this.scale) / 2;
    this.y = (this.stage.height - this.page.height * this.scale) / 2;
    this.fitted = true;
  }

  /** Scale by `factor`, keeping the point of the stage (x, y) where it is. */
  zoom(factor, x = this.stage.width / 2, y = this.stage.height / 2) {
    const scale = Math.min(CLOSEST, Math.max(this.fitScale * 0.6, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.#keep();
  }

  move(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#keep();
  }

  /** Bring a box of the page into the middle, close enough to read, with the page round it still to be seen. */
  focus([left, top, right, bottom]) {
    const across = (0.62 * this.stage.width) / Math.max(1, right - left);
    const down = (0.4 * this.stage.height) / Math.max(1, bottom - top);
    const readable = (1.3 * this.stage.width) / this.page.width;
    this.scale = Math.max(this.fitScale, Math.min(across, down, readable));
    this.x = this.stage.width / 2 - ((left + right) / 2) * this.scale;
    this.y = this.stage.height / 2 - ((top + bottom) / 2) * this.scale;
    this.fitted = false;
    this.#keep();
  }

  /** Some of the page is always in the stage; one smaller than the stage stays whole. */
  #keep() {
    for (const [axis, side] of [["x", "width"], ["y", "height"]]) {
      const length = this.page[side] * this.scale;
      const room = this.stage[side] - length;
      const low = room >= 2 * MARGIN ? 0 : room - MARGIN;
      const high = room >= 2 * MARGIN ? room : MARGIN;
      this[axis] = Math.min(Math.max(this[axis], Math.min(low, high)), Math.max(low, high));
    }
  }
}
