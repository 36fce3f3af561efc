#include "bindings.hpp"
#include "fma_peak.hpp"

namespace py = pybind11;

namespace digitvae::bindings {

void register_bench(py::module_& module) {
  module.def(
      "fma_peak",
      [](double seconds, int threads) {
        if (!(seconds > 0 && seconds <= 3600)) throw py::value_error("seconds is not in the range 0 to 3600");
        if (threads < 1 || threads > 1024) throw py::value_error("threads is not in the range 1 to 1024");
        double peak = 0.0;
        without_gil([&](const Poll& poll) { peak = fma_peak(seconds, threads, poll); });
        return peak;
      },
      py::arg("seconds"), py::arg("threads"));
}

}  // namespace digitvae::bindings
