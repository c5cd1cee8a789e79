// `branchy policy`: exit policies on stored logits, evaluated, swept and chosen.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_policy_command(CLI::App& app);

}  // namespace branchy
