// The command line of `digits`.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

struct Options {
  std::string model;
  std::string output;
  std::uint64_t seed = 0;
  std::uint64_t first = 0;
  std::uint64_t count = 100;
  std::uint32_t threads = 0;  // 0: all processors
  bool force = false;
  bool help = false;
};

// A mistake on the command line, as opposed to a failure at work.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

extern const char* const kHelp;

Options parse(int argc, char** argv);
