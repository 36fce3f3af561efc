#include <unistd.h>

#include <exception>

#include "base/arithmetic.hpp"
#include "bindings.hpp"

namespace py = pybind11;

namespace digitvae::bindings {
namespace {

bool interpreter_is_ending() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// A daemon thread that wants the GIL while the interpreter ends is ended by pthread_exit, whose
// forced unwinding must not meet our exception handlers. It waits for the end of the process
// instead, which is what Python itself does from 3.14 on.
void take_gil(PyThreadState* state) {
  try {
    PyEval_RestoreThread(state);
  } catch (...) {
    for (;;) pause();
  }
}

}  // namespace

void without_gil(const std::function<void(const Poll& poll)>& work) {
  bool interrupted = false;
  std::exception_ptr failure;
  PyThreadState* state = PyEval_SaveThread();
  const Poll poll = [&state, &interrupted](std::size_t, std::size_t) {
    if (interpreter_is_ending()) return true;
    take_gil(state);
    interrupted = PyErr_CheckSignals() != 0;
    state = PyEval_SaveThread();
    return interrupted;
  };
  try {
    const DefaultArithmetic arithmetic;  // also where models are opened
    work(poll);
  } catch (...) {
    failure = std::current_exception();
  }
  take_gil(state);
  if (interrupted) throw py::error_already_set();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace digitvae::bindings
