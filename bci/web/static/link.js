// The connection to the server: opens it, opens it again when it is lost, and notices when nothing comes any more.

const SILENT_MS = 1500; // the server says something four times a second
const AGAIN_MS = 500;

export class Link {
  /** `hear(message)` takes an object or an ArrayBuffer, `changed(connected)` every change. */
  constructor(hear, changed) {
    this.hear = hear;
    this.changed = changed;
    this.connected = false;
    this.ended = false;
    this.opened = 0; // how often
    this.heardAt = performance.now();
    this.socket = null;
    this.open();
    setInterval(() => this.watch(), 250);
  }

  open() {
    if (this.ended) return;
    const socket = new WebSocket(`ws://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.triedAt = performance.now();
    socket.onopen = () => {
      this.opened += 1;
      this.heardAt = performance.now();
      this.tell(true);
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heardAt = performance.now();
      const message = typeof event.data === "string" ? JSON.parse(event.data) : event.data;
      if (message.is === "ended") this.ended = true;
      this.hear(message);
    };
    socket.onclose = () => this.lose(socket);
    socket.onerror = () => socket.close();
  }

  lose(socket) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.tell(false);
    if (!this.ended) setTimeout(() => this.socket ?? this.open(), AGAIN_MS);
  }

  /** A connection that is open but silent is as good as lost: give it up and try again. */
  watch() {
    const silent = performance.now() - Math.max(this.heardAt, this.triedAt);
    if (this.socket && silent > SILENT_MS && !this.ended) {
      const socket = this.socket;
      this.lose(socket);
      socket.close();
    }
  }

  tell(connected) {
    if (connected === this.connected) return;
    this.connected = connected;
    this.changed(connected);
  }

  get isOpen() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  /** Whether it could be sent. */
  send(message) {
    if (!this.isOpen) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }
}
