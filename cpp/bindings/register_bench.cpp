#include "bindings.hpp"
#include "fma_peak.hpp"

namespace py = pybind11;

namespace digitvae::bindings {

void register_bench(py::module_& module) {
  module.def(
      "fma_peak",
      [](double seconds, unsigned threads) {
        if (!(seconds > 0 && seconds <= 3600)) throw py::value_error("seconds is not in the range 0 to 3600");
        require_from_to(1, kMaxThreads, threads, "threads");
        double peak = 0.0;
        without_gil([&](const Poll& poll) { peak = fma_peak(seconds, static_cast<int>(threads), poll); });
        return peak;
      },
      py::arg("seconds"), py::arg("threads"));
}

}  // namespace digitvae::bindings
