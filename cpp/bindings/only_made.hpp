// Python makes objects without their constructor: by T.__new__(T), or by a subclass that never calls it. pybind11
// takes one for a T in memory of its own that nobody has written to. Here it is none: TypeError.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <typeinfo>

namespace digitvae::bindings {

// Whether an object that claims to be a T holds one.
template <typename T>
bool holds(const pybind11::handle& object) {
  const pybind11::detail::type_info* const type = pybind11::detail::get_type_info(typeid(T));
  if (type == nullptr || PyObject_TypeCheck(object.ptr(), type->type) == 0) return true;  // which the caster will tell
  auto* const instance = reinterpret_cast<pybind11::detail::instance*>(object.ptr());
  return instance->get_value_and_holder(type).holder_constructed();
}

template <typename T, typename Caster>
struct OnlyMade : Caster {
  bool load(pybind11::handle source, bool convert) { return holds<T>(source) && Caster::load(source, convert); }
};

}  // namespace digitvae::bindings

// For use at the outermost level, before whatever passes a T or a shared_ptr of it.
#define DIGITVAE_ONLY_MADE(T)                                                                     \
  namespace pybind11::detail {                                                                    \
  template <>                                                                                     \
  class type_caster<T> : public digitvae::bindings::OnlyMade<T, type_caster_base<T>> {};          \
  template <>                                                                                     \
  class type_caster<std::shared_ptr<T>>                                                           \
      : public digitvae::bindings::OnlyMade<T, copyable_holder_caster<T, std::shared_ptr<T>>> {}; \
  }
