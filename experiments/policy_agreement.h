// `branchy-experiments policy-agreement`: does executing a policy give what its simulation says?
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_policy_agreement_command(CLI::App& app);

}  // namespace branchy
