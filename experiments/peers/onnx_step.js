#!/usr/bin/env node
// Times the inference of an exported network in ONNX Runtime on random data, all exits computed;
// README.md has the form of what it prints.
//
// onnx_step.js FILE.onnx [--batch N] [--threads N] [--steps N | --on-request]
//
// The module is onnxruntime-node (npm install --ignore-scripts onnxruntime-node), from where node
// looks for modules, NODE_PATH included, or from the folder that ONNXRUNTIME_NODE names.
const fs = require('fs');
const readline = require('readline');
const { parseArgs } = require('util');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    steps: { type: 'string', default: '100' },
    'on-request': { type: 'boolean', default: false },
  },
});

async function makeStep(path, shape, batch, threads) {
  const ort = require(process.env.ONNXRUNTIME_NODE || 'onnxruntime-node');
  const session = await ort.InferenceSession.create(path, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const count = batch * shape.reduce((a, b) => a * b);
  const images = new ort.Tensor('float32', Float32Array.from({ length: count }, Math.random), [batch, ...shape]);
  return {
    program: `ONNX Runtime ${(ort.env.versions || {}).node || ''}`.trim(),
    run: async () => {
      const start = process.hrtime.bigint();
      await session.run({ images });
      return Number(process.hrtime.bigint() - start) / 1e6;
    },
  };
}

async function main() {
  const [path] = positionals;
  const facts = JSON.parse(fs.readFileSync(path.replace(/\.onnx$/, '.json')));
  const batch = Number(values.batch), threads = Number(values.threads);
  const step = await makeStep(path, facts.input, batch, threads);
  console.log(JSON.stringify({ program: step.program, batch, threads, ...facts }));
  const lines = values['on-request'] ? readline.createInterface({ input: process.stdin }) : [values.steps];
  for await (const line of lines) {
    await step.run();
    const ms = [];
    for (let i = 0; i < Number(line); ++i) ms.push(await step.run());
    console.log(JSON.stringify({ ms, peak_mib: process.resourceUsage().maxRSS / 1024 }));
  }
}

main().catch((error) => {
  console.error(`onnx_step.js: ${error.message.split('\n')[0]}`);
  process.exit(1);
});
