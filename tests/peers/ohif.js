// Opens a demo's result in OHIF and looks at pixels: ohif.js URL FOLDER-FOR-SCREENSHOTS
const { chromium } = require('playwright-core');

const [url, shots] = process.argv.slice(2);
const STUDY = /RTDOSE/;
const DEADLINE = 180000;

const fail = (what) => {
  throw new Error(what);
};

// Shares of the viewport's pixels, read from a screenshot of it by the browser itself.
async function pixels(page, name) {
  const pane = page.locator('[data-cy="viewport-pane"]').first();
  const png = await pane.screenshot({ path: `${shots}/${name}.png` });
  return page.evaluate(async (data) => {
    const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, image.width, image.height);
    let grey = 0, bright = 0, tinted = 0, red = 0, reddest = 0;
    const all = rgba.length / 4;
    for (let n = 0; n < rgba.length; n += 4) {
      const [r, g, b] = [rgba[n], rgba[n + 1], rgba[n + 2]];
      const spread = Math.max(r, g, b) - Math.min(r, g, b);
      if (spread < 12 && r > 30) grey += 1;
      if (r > 150 && g > 100 && b > 100) bright += 1;
      if (spread >= 25) tinted += 1;
      if (r > g + 40 && r > 120) {
        red += 1;
        reddest += (n / 4) % image.width;
      }
    }
    return { grey: grey / all, bright: bright / all, tinted: tinted / all, red: red / all,
             redAt: red ? reddest / red / image.width : null };
  }, png.toString('base64'));
}

async function settled(page, name, wanted) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const seen = await pixels(page, name);
    if (wanted(seen)) return seen;
    if (Date.now() > end) fail(`${name}: ${JSON.stringify(seen)}`);
    await page.waitForTimeout(1500);
  }
}

// A browser that has never been here: the viewer then shows its tour and its notice.
async function fresh(browser, broken) {
  const page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
  page.setDefaultTimeout(DEADLINE);
  page.on('pageerror', (error) => broken.push(error.message));
  return page;
}

async function open(page, study) {
  await page.goto(`${url}/viewer?StudyInstanceUIDs=${study}`, { timeout: DEADLINE });
  await page.getByText('Skip all').click({ timeout: DEADLINE });
  await page.locator('[data-cy="confirm-and-hide-button"]').evaluate((button) => button.click());
  await page.locator('[data-cy^="study-browser-thumbnail"]').filter({ hasText: 'CT for' }).first().dblclick();
}

// Shows a series over the CT, and the slice in the middle of the body.
async function overlay(page, series) {
  await page.locator('[data-cy="dataOverlayMenu-default-btn"]').click();
  await page.getByText('Foreground', { exact: true }).click();
  await page.locator('[role=combobox]').filter({ hasText: /foreground/i }).click();
  await page.locator('[role=option]').filter({ hasText: series }).first().click();
  await page.waitForTimeout(5000);
  await page.locator('[data-cy="dataOverlayMenu-default-btn"]').click();
  await page.locator('[data-cy="viewport-pane"]').first().hover();
  for (let n = 0; n < 47; n += 1) {
    await page.mouse.wheel(0, 100);
    await page.waitForTimeout(60);
  }
}

(async () => {
  const args = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
  const broken = [];
  let page = await fresh(browser, broken);

  const rows = await (await page.request.get(`${url}/dicom-web/studies`)).json();
  const study = rows.find((row) => STUDY.test(row['00080061'].Value.join()))['0020000D'].Value[0];

  await page.goto(url, { timeout: DEADLINE });
  await page.getByText('Phantom, Digital').first().waitFor();
  await page.screenshot({ path: `${shots}/studies.png` });
  const list = await page.evaluate(() => document.body.innerText);
  for (const text of ['06-Mar-2026', 'Digital patient', 'RTDOSE']) {
    if (!list.includes(text)) fail(`the study list lacks ${text}: ${list}`);
  }

  await open(page, study);
  await settled(page, 'ct', (seen) => seen.grey > 0.1 && seen.tinted < 0.05);
  const panel = await page.evaluate(() => document.body.innerText);
  for (const text of ['RPT Regions', 'RPT Absorbed dose', 'RPT Dosimetry report', 'SEG', 'RTDOSE', 'SR']) {
    if (!panel.includes(text)) fail(`the series lack ${text}`);
  }

  await overlay(page, /SPECT/);
  await settled(page, 'spect-over-ct', (seen) => seen.tinted > 0.15);

  page = await fresh(browser, broken);
  await open(page, study);
  await settled(page, 'ct-again', (seen) => seen.grey > 0.1 && seen.tinted < 0.05);
  await overlay(page, /Absorbed dose/);
  // The hottest organ of the phantom lies at the patient's left: right of the middle.
  const dose = await settled(page, 'dose-over-ct', (seen) => seen.tinted > 0.15 && seen.red > 0.005);
  if (!(dose.redAt > 0.55)) fail(`the dose lies elsewhere: ${JSON.stringify(dose)}`);

  await browser.close();
  if (broken.length) fail(`the viewer broke: ${broken.join('; ')}`);
  console.log('ok', JSON.stringify(dose));
})().catch((error) => {
  console.error(error.stack || String(error));
  process.exit(1);
});
