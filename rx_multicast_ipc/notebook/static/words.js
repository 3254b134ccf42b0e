// Numbers, times and bytes as text.

export const pad = (number, width) => String(number).padStart(width, "0");
export const hexByte = (byte) => pad(byte.toString(16), 2);
export const hex = (data) => Array.from(data, hexByte).join(" ");
export const count = (number) => Math.round(number).toLocaleString("en");

export function rateText(rate) {
  return rate < 9.95 ? rate.toFixed(1) : count(rate);
}

// As many digits as tell two ticks of this step apart; without one, five that count.
export function numberText(number, step = null) {
  const size = Math.abs(number);
  if (size && (size >= 1e9 || (step ?? size) < 1e-4)) return number.toExponential(2);
  const digits = step === null ? Math.max(0, 4 - Math.floor(Math.log10(size || 1))) : Math.max(0, Math.ceil(-Math.log10(step) - 0.001) + (Number.isInteger(step / 10 ** Math.floor(Math.log10(step))) ? 0 : 1));
  return number.toLocaleString("en", step === null ? { maximumFractionDigits: digits } : { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function bytesText(bytes) {
  const unit = Math.min(4, bytes < 1000 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const scaled = bytes / 1000 ** unit;
  return `${unit && scaled < 99.95 ? scaled.toFixed(1) : Math.round(scaled)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

export function timeText(seconds) {
  if (seconds < 1e8) return `${seconds.toFixed(3)} s`; // a virtual clock
  const time = new Date(seconds * 1000);
  return `${pad(time.getHours(), 2)}:${pad(time.getMinutes(), 2)}:${pad(time.getSeconds(), 2)}.${pad(time.getMilliseconds(), 3)}`;
}

export function hexDump(data) {
  const lines = [];
  for (let offset = 0; offset < data.length; offset += 16) {
    const some = data.subarray(offset, offset + 16);
    const bytes = Array.from(some, hexByte);
    const characters = Array.from(some, (byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${pad(offset.toString(16), 4)}  ${bytes.slice(0, 8).join(" ").padEnd(23)}  ${bytes.slice(8).join(" ").padEnd(23)}  ${characters}`);
  }
  return lines.join("\n");
}
