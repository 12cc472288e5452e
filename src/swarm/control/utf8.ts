/** A text as UTF-8. */
export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text);
/** UTF-8 as text; what is none becomes U+FFFD. */
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

const encoder = new TextEncoder();
const decoder = new TextDecoder();
