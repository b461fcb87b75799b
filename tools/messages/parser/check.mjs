// Reads the AsyncAPI document that is named as the argument with its official parser; exit code 1 where it has an error.
import { Parser, fromFile } from "@asyncapi/parser";

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
for (const { severity, path, message } of diagnostics) console.log(severity, path.join("."), message);
if (document) console.log(`${document.channels().length} channels, ${document.messages().length} messages`);
process.exit(document ? 0 : 1);
