// The command line of `viewer`.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "plane.hpp"

struct Options {
  std::string model;
  std::string frame;  // empty: open a window
  std::uint64_t seed = 0;
  Position at{0.5, 0.5};
  bool help = false;
};

// A mistake on the command line, as opposed to a failure at work.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

extern const char* const kHelp;

Options parse(int argc, char** argv);
