// `branchy-experiments`: one verb per reproduced table, figure or measurement.
#include <CLI/CLI.hpp>

#include "experiments/adapt_figure.h"
#include "experiments/ceiling_command.h"
#include "experiments/codec_curve.h"
#include "experiments/faults_command.h"
#include "experiments/lee_exits.h"
#include "experiments/link_command.h"
#include "experiments/load_command.h"
#include "experiments/peers_command.h"
#include "experiments/plot_command.h"
#include "experiments/policy_agreement.h"
#include "experiments/predictor_curve.h"
#include "experiments/split_agreement.h"
#include "experiments/split_command.h"
#include "experiments/step_command.h"
#include "experiments/tables_command.h"
#include "infer/command_line.h"

int main(int argc, char** argv) {
  CLI::App app("Repeats the project's measurements and the papers' tables", "branchy-experiments");
  app.require_subcommand(1);
  branchy::add_policy_agreement_command(app);
  branchy::add_ceiling_command(app);
  branchy::add_codec_curve_command(app);
  branchy::add_plot_command(app);
  branchy::add_predictor_curve_command(app);
  branchy::add_adapt_figure_command(app);
  branchy::add_lee_exits_command(app);
  branchy::add_faults_command(app);
  branchy::add_link_command(app);
  branchy::add_load_command(app);
  branchy::add_peers_command(app);
  branchy::add_split_agreement_command(app);
  branchy::add_split_command(app);
  branchy::add_step_commands(app);
  branchy::add_tables_command(app);
  return branchy::run_command_line(app, argc, argv);
}
