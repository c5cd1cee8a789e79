#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/kernels/sgd_step.h"
#include "core/threads.h"
#include "data/normalization.h"
#include "infer/process_memory.h"
#include "layers/models/registry.h"
#include "layers/weighted_sum.h"
#include "train/divergence.h"
#include "train/exit_losses.h"
#include "train/image_size.h"
#include "train/initial_weights.h"
#include "train/interrupt.h"
#include "train/out_folder.h"
#include "train/run_result.h"
#include "train/tuning_file.h"
#include "train/validation.h"

namespace branchy {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string accuracies(const std::vector<double>& values) {
  std::string text;
  for (const double value : values)
    text += fmt::format("{}{:.2f}", text.empty() ? "" : " / ", 100.0 * value);
  return text;
}

}  // namespace

Trainer::Trainer(TrainOptions options, bool resume)
    : options_(std::move(options)), progress_(options_.verb) {
  validate(options_);
  const std::filesystem::path last = options_.out / "last.safetensors";
  const bool found = std::filesystem::exists(last);
  if (!resume && found)
    throw ConfigError(
        fmt::format("[{}] {} holds a run already; give another --out, or go on with --resume {}",
                    options_.verb, options_.out.string(), options_.out.string()));
  if (!resume && !options_.init.empty()) complete_from_weights(options_);
  use_tuning(found ? last : std::filesystem::path());
  open_data();
  build_network();
  if (found)
    at_ = load_checkpoint(last, state());
  else
    load_weights();
  open_loaders();
  at_.correct.resize(exit_weights_.size());
  open_folder();
  if (!found) save("last.safetensors");
  progress_.line(fmt::format(
      "{} {}: {} training and {} validation images, {} steps an epoch, {} compute "
      "threads, {}",
      found ? "resuming" : "training", options_.network.name, train_data_->size(),
      val_data_ ? val_data_->size() : 0, loader_->batches_per_epoch(), num_threads(),
      found ? fmt::format("from epoch {} step {}", at_.epoch + 1, at_.step) : "from the start"));
}

Trainer::~Trainer() { dnn::use_convolution_table(nullptr); }

/// A resumed run must go on with the methods that it began with, to give the same bits.
void Trainer::use_tuning(const std::filesystem::path& checkpoint) {
  tuning_ = checkpoint.empty() ? tuning_of(options_.tuning) : checkpoint_convolutions(checkpoint);
  dnn::use_convolution_table(tuning_);
}

void Trainer::profile(std::int64_t profiled_steps) {
  profiler_ = std::make_unique<StepProfiler>(profiled_steps, options_.network.name,
                                             options_.hyper.batch, options_.out);
}

void Trainer::open_data() {
  if (options_.photos.image_size > 0 || options_.data.starts_with("folder:"))
    options_.photos.image_size = set_image_size(options_.network, options_.photos.image_size);
  source_ = std::make_unique<DataSource>(options_.data, data_options(options_));
  train_data_ = source_->train();
  val_data_ = source_->validation();
  if (options_.val > 0 && options_.val != source_->val_count())
    throw ConfigError(fmt::format(
        "[{}] --val {}, but the folder val of {} holds {} images; leave out --val, or give 0",
        options_.verb, options_.val, options_.data, source_->val_count()));
  options_.val = source_->val_count();
  normalization_ = options_.weights.normalize.empty()
                       ? train_data_->normalization()
                       : parse_normalization(options_.weights.normalize);
  class_names_ = train_data_->class_names();
  if (!source_->description().empty()) progress_.line(source_->description());
  for (const std::string& message : source_->left_out()) progress_.line("left out: " + message);
}

void Trainer::build_network() {
  const auto data_classes = static_cast<std::int64_t>(class_names_.size());
  if (options_.network.classes == 0) options_.network.classes = data_classes;
  if (options_.network.classes < data_classes)
    throw ConfigError(fmt::format("[train] --classes {}, the data has {}", options_.network.classes,
                                  data_classes));
  if (options_.network.classes > data_classes) class_names_.clear();
  const auto seed = static_cast<std::uint64_t>(options_.seed);
  Rng rng({seed, 0x696E6974});  // "init"
  network_ = make_network(options_.network, rng);
  options_.network = network_->config();  // with the exits that it really has
  const Shape image = train_data_->image_shape();
  const Shape& input = network_->input_shape();
  if (input != Shape{1, image[0], image[1], image[2]})
    throw ConfigError(
        fmt::format("[train] images are {}, {} takes {}; see --image-size and the "
                    "network's own options",
                    image.to_string(), options_.network.name, input.to_string()));
  const FrozenParts frozen = parse_frozen_parts(*network_, options_.finetune.freeze);
  network_->freeze(frozen);
  if (options_.hyper.ema_decay > 0.0) {
    average_ = make_network(options_.network, rng);
    average_->freeze(frozen);
  }

  std::vector<double> weights = options_.exit_weights;
  if (weights.empty()) weights = exit_loss_weights(options_.hyper.weighting, network_->num_exits());
  if (static_cast<std::int64_t>(weights.size()) != network_->num_exits())
    throw ConfigError(fmt::format("[train] {} exit weights, {} has {} exits; give one an exit",
                                  weights.size(), options_.network.name, network_->num_exits()));
  if (options_.hyper.distill > 0.0 && network_->num_exits() == 1)
    throw ConfigError(fmt::format(
        "[train] --distill {}, but {} has no early exit to teach; give it some, or leave it out",
        options_.hyper.distill, options_.network.name));
  exit_weights_.assign(weights.begin(), weights.end());
  optimizer_ = make_optimizer(options_.hyper, *network_);
}

void Trainer::load_weights() {
  if (!options_.init.empty())
    for (const std::string& line : load_initial_weights(options_, *network_)) progress_.line(line);
  if (average_) copy_state(*network_, *average_);
}

void Trainer::open_loaders() {
  constexpr std::int64_t kMiB = 1 << 20;
  std::shared_ptr<FrozenTrunk> trunk;
  if (network_->frozen().blocks > 0) trunk = std::make_shared<FrozenTrunk>(*network_);
  FeatureCache cache{.enabled = options_.finetune.cache_features,
                     .memory_limit = options_.finetune.feature_memory_mib * kMiB,
                     .folder = options_.out};
  LoaderOptions loading{.batch = options_.hyper.batch,
                        .threads = options_.loader_threads,
                        .seed = static_cast<std::uint64_t>(options_.seed),
                        .shuffle = options_.shuffle,
                        .augmentation = parse_augmentation_name(options_.hyper.augment),
                        .normalization = normalization_};
  loader_ = std::make_unique<FeatureLoader>(train_data_, loading, trunk, cache);
  schedule_ = make_schedule(options_.hyper, loader_->batches_per_epoch());
  if (val_data_ == nullptr) return;
  loading.batch = evaluation_batch(val_data_->image_shape());
  loading.shuffle = false;
  loading.augmentation = Augmentation::kNone;
  cache.memory_limit -= loader_->memory_bytes();
  val_loader_ = std::make_unique<FeatureLoader>(val_data_, loading, trunk, cache);
}

void Trainer::open_folder() {
  const std::string config = to_toml(options_);
  const std::string split = source_->split_lines();
  make_out_folder(options_.out);
  write_file_atomically(options_.out / "config.toml", config);
  if (!split.empty()) write_file_atomically(options_.out / "split.tsv", split);
  if (tuning_) write_file_atomically(options_.out / "convolutions.json", tuning_->to_json() + "\n");
  metrics_ = std::make_unique<MetricsLog>(options_.out, at_.step, network_->num_exits());
}

void Trainer::compute_features() {
  for (FeatureLoader* loader : {loader_.get(), val_loader_.get()}) {
    if (loader == nullptr) continue;
    interrupted_ = !loader->prepare([&](double share) {
      progress_.update(share, loader == loader_.get() ? "frozen trunk on training images"
                                                      : "frozen trunk on validation images");
      return !Interrupt::requested();
    });
    if (interrupted_) return;
    if (const FeatureStore* store = loader->store())
      progress_.line(fmt::format("frozen trunk computed once: {} MiB {}", store->bytes() >> 20,
                                 store->in_file() ? "in a file" : "in memory"));
  }
}

TrainingEnd Trainer::run() {
  const Interrupt interrupt;
  run_start_ = last_save_ = Clock::now();
  seconds_before_ = at_.seconds;
  if (!done()) compute_features();
  while (!done() && !interrupted_) train_epoch();
  if (profiler_) profiler_->report();
  at_.seconds = seconds_before_ + seconds_since(run_start_);
  save("last.safetensors");
  if (interrupted_) {
    progress_.line(fmt::format("interrupted after step {}; go on with: branchy {} --resume {}",
                               at_.step, options_.verb, options_.out.string()));
    return TrainingEnd::kInterrupted;
  }
  finish_run();
  return TrainingEnd::kFinished;
}

bool Trainer::done() const {
  return at_.epoch >= options_.hyper.epochs ||
         (options_.max_steps > 0 && at_.step >= options_.max_steps) ||
         (options_.hyper.patience > 0 && at_.bad_epochs >= options_.hyper.patience);
}

void Trainer::train_epoch() {
  epoch_start_ = Clock::now();
  wait_before_ = loader_->wait_seconds();
  images_since_start_ = 0;
  loader_->start_epoch(at_.epoch, at_.batch_in_epoch);
  while (at_.batch_in_epoch < loader_->batches_per_epoch()) {
    const StepProfile::Step profiled(profiler_ ? profiler_->next_step() : nullptr);
    const auto batch = loader_->next();
    BRANCHY_DCHECK(batch);
    train_step(*batch);
    save_if_due();
    interrupted_ = Interrupt::requested();
    if (interrupted_ || (options_.max_steps > 0 && at_.step >= options_.max_steps)) return;
  }
  finish_epoch();
  interrupted_ = Interrupt::requested();
}

void Trainer::train_step(const FeatureBatch& batch) {
  optimizer_->clear_gradients();
  const auto seed = static_cast<std::uint64_t>(options_.seed);
  const Pass pass{.mode = Mode::kTrain,
                  .seed = Rng({seed, static_cast<std::uint64_t>(at_.step)}).next_u64()};
  const auto logits = network_->forward_features(batch.features, pass);
  const std::vector<Variable> losses = exit_losses(logits, batch.labels, options_.hyper);
  StepMetrics metrics;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    metrics.exit_losses.push_back(static_cast<double>(losses[i].value().item()));
    at_.correct[i] += count_correct(logits[i].value(), batch.labels);
  }
  const Variable loss = weighted_sum(losses, exit_weights_);
  metrics.loss = static_cast<double>(loss.value().item());
  check_finite(batch, metrics.loss);
  loss.backward();
  metrics.rate = learning_rate(schedule_, at_.step);
  optimizer_->step(static_cast<float>(metrics.rate));
  if (average_) update_average();

  const auto images = static_cast<std::int64_t>(batch.labels.size());
  at_.loss_sum += metrics.loss * static_cast<double>(images);
  at_.images += images;
  images_since_start_ += images;
  ++at_.batch_in_epoch;
  ++at_.step;
  metrics.epoch = at_.epoch + 1;
  metrics.step = at_.step;
  if (at_.step % options_.log_every == 0 || at_.step == 1) metrics_->append(metrics);
  show_progress(metrics);
}

void Trainer::check_finite(const FeatureBatch& batch, double loss) {
  if (std::isfinite(loss)) return;
  const std::string where = first_non_finite(*network_, batch.features);
  throw NumericError(
      fmt::format("[train] the loss of step {} is {}, first seen in {}; the last good checkpoint "
                  "is kept in {}, "
                  "lower --lr or lengthen --warmup-epochs",
                  at_.step + 1, loss, where, options_.out.string()));
}

void Trainer::update_average() {
  // The first steps average over fewer values, so that the start has no weight at the end.
  const double ramp =
      (1.0 + static_cast<double>(at_.step)) / (10.0 + static_cast<double>(at_.step));
  const auto decay = static_cast<float>(std::min(options_.hyper.ema_decay, ramp));
  // What is frozen keeps its bytes: the average of equal values is not always the same number.
  const auto from = network_->trained_state(network_->whole());
  const auto to = average_->trained_state(average_->whole());
  std::vector<kernels::AveragedTensor> pairs;
  for (std::size_t i = 0; i < from.size(); ++i)
    pairs.push_back({&to[i].variable->mutable_value(), &from[i].variable->value()});
  kernels::moving_average(pairs, decay);
}

void Trainer::show_progress(const StepMetrics& metrics) {
  const double rate = static_cast<double>(images_since_start_) / seconds_since(epoch_start_);
  const auto per_epoch = static_cast<double>(loader_->batches_per_epoch());
  double total = per_epoch * static_cast<double>(options_.hyper.epochs);
  if (options_.max_steps > 0) total = std::min(total, static_cast<double>(options_.max_steps));
  const double left =
      (total - static_cast<double>(at_.step)) * static_cast<double>(options_.hyper.batch) / rate;
  std::string losses;
  for (const double loss : metrics.exit_losses) losses += fmt::format(" {:.3f}", loss);
  progress_.update(
      static_cast<double>(at_.step) / total,
      fmt::format("epoch {}/{} step {} loss {:.4f} (exits{}) lr {:.4f} {:.0f} images/s, "
                  "{:.0f}:{:02.0f} left",
                  metrics.epoch, options_.hyper.epochs, metrics.step, metrics.loss, losses,
                  metrics.rate, rate, std::floor(left / 60.0), std::floor(std::fmod(left, 60.0))));
}

void Trainer::finish_epoch() {
  EpochMetrics m;
  m.epoch = at_.epoch + 1;
  m.step = at_.step;
  m.rate = learning_rate(schedule_, at_.step - 1);
  m.train_loss = at_.loss_sum / static_cast<double>(at_.images);
  m.seconds = seconds_since(epoch_start_);
  m.images_per_second = static_cast<double>(images_since_start_) / m.seconds;
  m.loader_wait_seconds = loader_->wait_seconds() - wait_before_;
  m.peak_bytes = process_memory().peak_bytes;
  for (const std::int64_t correct : at_.correct)
    m.train_accuracy.push_back(static_cast<double>(correct) / static_cast<double>(at_.images));
  bool best = true;
  if (val_loader_) {
    const auto result = validate_network(evaluated_network(), *val_loader_, exit_weights_);
    m.val_loss = result.loss;
    m.val_accuracy = result.accuracy;
    best = at_.best_epoch == 0 || result.loss < at_.best_loss;
    if (best) at_.best_loss = result.loss;
  }
  at_.best_epoch = best ? m.epoch : at_.best_epoch;
  at_.bad_epochs = best ? 0 : at_.bad_epochs + 1;
  ++at_.epoch;
  at_.batch_in_epoch = at_.images = 0;
  at_.loss_sum = 0.0;
  std::fill(at_.correct.begin(), at_.correct.end(), 0);
  metrics_->append(m);
  progress_.line(
      fmt::format("epoch {}: loss {:.4f}, train {} %, val {} %, {:.0f} images/s, loader wait "
                  "{:.1f} s, peak memory "
                  "{} MiB",
                  m.epoch, m.train_loss, accuracies(m.train_accuracy),
                  m.val_accuracy.empty() ? "-" : accuracies(m.val_accuracy), m.images_per_second,
                  m.loader_wait_seconds, m.peak_bytes >> 20));
  if (best) save("best.safetensors");
  save("last.safetensors");
}

void Trainer::finish_run() {
  const auto test = source_->test();
  const auto result = validate_network(evaluated_network(), test, normalization_, exit_weights_);
  write_run_result(options_, at_, {test->checksum(), source_->description()}, result);
  progress_.line(fmt::format(
      "done after {} epochs, {} steps, {:.0f} s: test accuracy by exit {} %; in {}", at_.epoch,
      at_.step, at_.seconds, accuracies(result.accuracy), options_.out.string()));
}

void Trainer::save_if_due() {
  if (seconds_since(last_save_) < options_.checkpoint_seconds) return;
  save("last.safetensors");
}

void Trainer::save(const char* name) {
  if (run_start_ != Clock::time_point{}) at_.seconds = seconds_before_ + seconds_since(run_start_);
  save_checkpoint(options_.out / name, state(), at_);
  last_save_ = Clock::now();
}

TrainingState Trainer::state() {
  ModelInfo info{.config = options_.network,
                 .part = network_->whole(),
                 .class_names = class_names_,
                 .mean = normalization_.mean,
                 .std = normalization_.std,
                 .val_count = options_.val,
                 .val_seed = static_cast<std::uint64_t>(options_.seed),
                 .cut = "",
                 .data_split = source_->split_record(),
                 .data_transforms = source_->transforms_record(),
                 .data_test_list = source_->test_list_record()};
  return {.network = network_.get(),
          .average = average_.get(),
          .optimizer = optimizer_.get(),
          .info = std::move(info),
          .seed = static_cast<std::uint64_t>(options_.seed),
          .convolutions = tuning_ ? tuning_->to_json() : "{}"};
}

MultiExitNetwork& Trainer::evaluated_network() { return average_ ? *average_ : *network_; }

}  // namespace branchy
