export { fileSink, type FileSink, saveCapture } from "./capture-files.ts";
