// Unpacks the Chromium of @sparticuz/chromium, its libraries and fonts into the current folder.
// It unpacks into the folder for temporary files, which `tools/browser.sh` sets.
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import chromium, { inflate } from "@sparticuz/chromium";

const bin = join(dirname(fileURLToPath(import.meta.resolve("@sparticuz/chromium"))), "..", "bin");
await inflate(join(bin, "al2023.tar.br"));
await chromium.executablePath();
