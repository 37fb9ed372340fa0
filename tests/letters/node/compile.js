// Reads {name: mjml} as JSON from stdin and writes {name: {html, errors}}: the official compiler's answer.
const mjml = require("mjml");
let input = "";
process.stdin.on("data", (chunk) => (input += chunk));
process.stdin.on("end", () => {
  const answers = {};
  for (const [name, source] of Object.entries(JSON.parse(input))) {
    const { html, errors } = mjml(source, { validationLevel: "soft", keepComments: true });
    answers[name] = { html, errors: errors.map((error) => error.formattedMessage) };
  }
  process.stdout.write(JSON.stringify(answers));
});
