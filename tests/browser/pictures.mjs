// Pictures of every page, at both widths, in both themes, to look at beside the mockups. Not a test: nothing here judges looks.
// usage, with a rig and a built binary (tests/rig/README.md):
//   MAILGRANT_TEST_RIG=$(tests/rig/up) MAILGRANT_BIN=target/debug/mailgrant node tests/browser/pictures.mjs FOLDER [PART OF A NAME]
import { resolve } from 'node:path';
import { LOOKS, launch, look, shot } from './browser.mjs';
import { furnished } from './places.mjs';
import { everywhere, fromNothing } from './walk.mjs';

const [folder, part = ''] = process.argv.slice(2);
if (!folder) {
  process.stderr.write('usage: node tests/browser/pictures.mjs FOLDER [PART OF A NAME]\n');
  process.exit(2);
}
process.env.MAILGRANT_SHOTS = resolve(folder);

const picture = async ({ page }, { name }) => {
  if (!name.includes(part)) return;
  for (const variant of LOOKS) {
    await look(page, variant);
    await shot(page, `${name}-${variant.width}-${variant.scheme}`);
  }
};

const browser = await launch();
try {
  if (!part || /^(setup|empty|login)/.test(part)) await fromNothing(browser, { script: true }, picture);
  const { console, places, stop } = await furnished(browser);
  try {
    await everywhere(browser, console, places.filter(({ name }) => name.includes(part)), { script: true }, picture);
  } finally {
    await stop();
  }
} finally {
  await browser.close();
}
