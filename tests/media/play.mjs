// Plays a URL in headless Chromium with one player and prints what it saw as one line of JSON.
// node play.mjs <chromium> <folder of node_modules> <player: hls|dash|shaka|native> <url> <seconds> <speed>
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [executablePath, modules, player, url, seconds, speed] = process.argv.slice(2);
const require = createRequire(join(modules, 'x.js'));
const { chromium } = require('playwright-core');
const SCRIPTS = {
  hls: 'hls.js/dist/hls.min.js',
  dash: 'dashjs/dist/modern/umd/dash.all.min.js',
  shaka: 'shaka-player/dist/shaka-player.compiled.js',
};

const profile = mkdtempSync(join(tmpdir(), 'everreel-play-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update',
    '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  const page = await context.newPage();
  await page.goto(new URL('/blank.html', url).href);
  if (player in SCRIPTS) {
    await page.addScriptTag({ content: readFileSync(join(modules, SCRIPTS[player]), 'utf8') });
  }
  const report = await page.evaluate(play, {
    player, url, seconds: Number(seconds), speed: Number(speed),
  });
  console.log(JSON.stringify(report));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}

async function play({ player, url, seconds, speed }) {
  const errors = [];
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  video.onerror = () => errors.push(`video ${video.error?.code} ${video.error?.message}`);
  const sizes = new Set();
  video.onresize = () => sizes.add(`${video.videoWidth}x${video.videoHeight}`);
  if (player === 'hls') {
    const hls = new Hls();
    hls.on(Hls.Events.ERROR, (_, data) => errors.push(`${data.details}${data.fatal ? ' fatal' : ''}`));
    hls.loadSource(url);
    hls.attachMedia(video);
  } else if (player === 'dash') {
    const dash = dashjs.MediaPlayer().create();
    dash.on('error', (event) => errors.push(JSON.stringify(event.error).slice(0, 300)));
    dash.initialize(video, url, true);
  } else if (player === 'shaka') {
    shaka.polyfill.installAll();
    const instance = new shaka.Player();
    instance.addEventListener('error', (event) => errors.push(`shaka ${event.detail.code}`));
    await instance.attach(video);
    await instance.load(url).catch((error) => errors.push(`load ${error.code} ${error.data}`));
  } else {
    video.src = url;
  }
  let waits = 0;
  video.onwaiting = () => { waits += 1; };
  video.defaultPlaybackRate = speed;
  video.playbackRate = speed;
  video.play().catch((error) => errors.push(`play ${error}`));
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline && !video.ended) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const buffered = [];
  for (let i = 0; i < video.buffered.length; i += 1) {
    buffered.push([video.buffered.start(i), video.buffered.end(i)]);
  }
  const quality = video.getVideoPlaybackQuality();
  return {
    ended: video.ended,
    time: video.currentTime,
    duration: video.duration,
    frames: quality.totalVideoFrames,
    sizes: [...sizes],
    buffered,
    waits,
    errors,
  };
}
