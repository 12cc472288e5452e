export { fileSink, saveCapture } from "./capture-files.ts";
