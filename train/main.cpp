// The `branchy` command: one file per verb, one place that turns errors into exit codes.
#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/provenance.h"
#include "train/adapt_command.h"
#include "train/calibrate_command.h"
#include "train/codec_command.h"
#include "train/config_file.h"
#include "train/convert_command.h"
#include "train/data_command.h"
#include "train/eval_command.h"
#include "train/export_command.h"
#include "train/finetune_command.h"
#include "train/infer_all_command.h"
#include "train/nets_command.h"
#include "train/plan_command.h"
#include "train/policy_command.h"
#include "train/predictor_command.h"
#include "train/profile_command.h"
#include "train/prune_command.h"
#include "train/quantize_command.h"
#include "train/train_command.h"
#include "train/tune_command.h"

namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

int run(int argc, char** argv) {
  CLI::App app("branchy trains, evaluates and exports early-exit CNNs on CPUs");
  app.set_version_flag("--version", branchy::version_string());
  branchy::add_config_file(app, "",
                           "Read flags from this TOML file (sections named after the verbs)");
  app.require_subcommand(1);
  app.fallthrough();
  branchy::add_train_command(app);
  branchy::add_finetune_command(app);
  branchy::add_eval_command(app);
  branchy::add_infer_all_command(app);
  branchy::add_calibrate_command(app);
  branchy::add_export_command(app);
  branchy::add_convert_command(app);
  branchy::add_policy_command(app);
  branchy::add_codec_command(app);
  branchy::add_predictor_command(app);
  branchy::add_prune_command(app);
  branchy::add_quantize_command(app);
  branchy::add_profile_command(app);
  branchy::add_tune_command(app);
  branchy::add_nets_command(app);
  branchy::add_data_command(app);
  branchy::add_adapt_command(app);
  branchy::add_plan_command(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& error) {
    return error.get_exit_code();
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "branchy: {}; see branchy --help\n", error.what());
    return kUsage;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const branchy::ConfigError& error) {
    fmt::print(stderr, "branchy: {}\n", error.what());
    return kUsage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "branchy: {}\n", error.what());
    return kFailure;
  }
}
