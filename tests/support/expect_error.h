// Error tests: an expression must throw a type whose one-line message holds every given text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <string>

namespace branchy::test {

/// Runs `action`; fails unless it throws `ErrorType` with one line that contains each of `texts`.
template <typename ErrorType>
void expect_error(const std::function<void()>& action, std::initializer_list<std::string> texts) {
  try {
    action();
  } catch (const ErrorType& error) {
    const std::string what = error.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    for (const std::string& text : texts) EXPECT_THAT(what, ::testing::HasSubstr(text));
    return;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw another type: " << error.what();
    return;
  }
  ADD_FAILURE() << "threw nothing";
}

}  // namespace branchy::test
