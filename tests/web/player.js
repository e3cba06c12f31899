// The page side of play.mjs: loads the player named in the query and watches it play.
const SCRIPTS = {
  hls: 'node_modules/hls.js/dist/hls.min.js',
  dash: 'node_modules/dashjs/dist/modern/umd/dash.all.min.js',
  shaka: 'node_modules/shaka-player/dist/shaka-player.compiled.js',
};
const video = document.querySelector('video');
const errors = [];
const note = (details, fatal) => errors.push(fatal ? `${details} (fatal)` : details);

function loadScript(src) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = src;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`cannot load ${src}`));
    document.head.append(script);
  });
}

const start = {
  hls(url) {
    const player = new Hls({ liveDurationInfinity: true });
    player.on(Hls.Events.ERROR, (_, data) => note(`hls.js ${data.type}/${data.details}`, data.fatal));
    player.loadSource(url);
    player.attachMedia(video);
  },
  dash(url) {
    const player = dashjs.MediaPlayer().create();
    player.on('error', (event) => note(`dash.js ${event.error?.code} ${event.error?.message}`, true));
    player.initialize(video, url, true);
  },
  async shaka(url) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    const failed = (error) => note(`shaka ${error.code} ${error.data}`, error.severity === 2);
    player.addEventListener('error', (event) => failed(event.detail));
    await player.attach(video);
    await player.load(url).catch(failed);
  },
  native(url) {
    video.src = url;
  },
};

function ranges() {
  const { buffered } = video;
  return Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
}

const nextTick = () => new Promise((resolve) => { setTimeout(resolve, 40); });

async function until(done, seconds) {
  const deadline = performance.now() + seconds * 1000;
  while (!done() && performance.now() < deadline) await nextTick();
  return done();
}

async function play({ url, player, seconds, timeout, seek, rate }) {
  let stalls = 0;
  const sizes = [];
  video.onerror = () => note(`video ${video.error?.code} ${video.error?.message}`, true);
  video.onresize = () => sizes.push([video.videoWidth, video.videoHeight]);
  if (SCRIPTS[player]) await loadScript(SCRIPTS[player]);
  await start[player](url);
  video.playbackRate = rate;
  video.play().catch((error) => note(`play() ${error.message}`, true));
  const fatal = () => errors.some((error) => error.endsWith('(fatal)'));
  const started = await until(() => fatal() || video.getVideoPlaybackQuality().totalVideoFrames > 0
    || (video.currentTime > 0 && video.videoWidth === 0), timeout);
  let seeked = null;
  if (seek !== null && started) {
    video.currentTime = seek;
    seeked = await until(() => fatal() || (!video.seeking && video.readyState >= 3), timeout);
  }
  const startTime = video.currentTime;
  video.onwaiting = () => { stalls += 1; };
  await until(() => fatal() || video.ended || video.currentTime - startTime >= seconds, timeout);
  const quality = video.getVideoPlaybackQuality();
  return {
    player,
    started,
    seeked,
    startTime,
    currentTime: video.currentTime,
    duration: Number.isFinite(video.duration) ? video.duration : null,
    ended: video.ended,
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    stalls,
    errors,
    buffered: ranges(),
    width: video.videoWidth,
    height: video.videoHeight,
    sizes,
  };
}

window.lab = { play };
